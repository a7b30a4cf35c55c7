#!/usr/bin/python3
"""Every route of the admin port is described, and nothing is described that is no route.

    openapi_routes.py TOP
"""
import json
import pathlib
import re
import sys

TOP = pathlib.Path(sys.argv[1])
# Parts of the page: for browsers, not for programs.
PAGE = {"/", "/page.css", "/page.js", "/icon.svg"}

table = (TOP / "apps/ixnd/admin/routes.c").read_text(encoding="utf-8")
routes = {(method, path) for method, path in
          re.findall(r'\{"(GET|POST)", "([^"]+)", RIGHT_', table) if path not in PAGE}
text = (TOP / "apps/ixnd/admin/page/openapi.json").read_text(encoding="utf-8")
described = {(method.upper(), path) for path, methods in json.loads(text)["paths"].items()
             for method in methods}
documented = (TOP / "docs/admin.md").read_text(encoding="utf-8")

faults = [f"{method} {path} is not described in openapi.json" for method, path
          in sorted(routes - described)]
faults += [f"{method} {path} is described, but no route" for method, path
           in sorted(described - routes)]
faults += [f"{path} is not in docs/admin.md" for _, path in sorted(routes)
           if not any(path.replace("{id}", name) in documented for name in ("ID", "NAME"))
           and path.rsplit("/", 1)[-1] not in documented]
if len(routes) < 30:
    faults.append(f"only {len(routes)} routes found in routes.c: has the table another form?")
for fault in faults:
    print(fault)
print(f"{len(routes)} routes")
sys.exit(bool(faults))
