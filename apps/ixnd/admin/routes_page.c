/* The operator's page and the description of the port: files inside the program, so that they are
 * there without a network. */
#include <string.h>

#include "apps/ixnd/admin/assets.h"
#include "apps/ixnd/admin/core.h"
#include "core/base/check.h"

static void s_answer(exchange_t *exchange, const char *name, const char *type)
{
    size_t i = 0;
    while (i < assets_len && strcmp(assets[i].name, name) != 0)
        i++;
    CHECK(i < assets_len); /* every asset that is named here is embedded */
    http_answer_static(exchange->request, 200, type, assets[i].bytes);
}

void route_page(core_t *self, exchange_t *exchange)
{
    (void)self;
    /* It asks this node and, where that is gone, the other one: wherever that is. */
    http_add_header(exchange->request, "Content-Security-Policy",
                    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                    "connect-src 'self' http: https:; base-uri 'none'; form-action 'none'; "
                    "frame-ancestors 'none'");
    http_add_header(exchange->request, "Referrer-Policy", "no-referrer");
    s_answer(exchange, "index.html", "text/html; charset=utf-8");
}

void route_style(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_answer(exchange, "page.css", "text/css; charset=utf-8");
}

void route_script(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_answer(exchange, "page.js", "text/javascript; charset=utf-8");
}

void route_icon(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_answer(exchange, "icon.svg", "image/svg+xml");
}

void route_openapi(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_answer(exchange, "openapi.json", "application/json");
}
