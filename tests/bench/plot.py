#!/usr/bin/env python3
"""Draws the curves of `run.sh scale` as SVG, with gnuplot.

    tests/bench/run.sh scale >scale.txt; tests/bench/plot.py scale.txt FOLDER

Reads the lines of JSON that a run ends with (other lines are passed over) and writes a picture for
each curve: what is completed a second on the left scale, latencies of a light load on the right
one; for what waits also how long an empty backup needs. Names of the files: the curve's, with
dashes.
"""
import json
import os
import shutil
import subprocess
import sys

HEAD = """set terminal svg size 720,400 background rgb 'white' font 'sans-serif,13'
set output '{path}'
set title '{title}'
set logscale x
set format x '{format}'
set xlabel '{name}'
set ylabel 'completed a second'
set yrange [0:*]
set y2label '{right}'
set y2range [0:*]
set ytics nomirror
set y2tics
set grid xtics ytics lc rgb '#dddddd'
set key below
set xrange [{least}:{most}]
"""
LATENCIES = (("submit_p50_ms", "durable, p50", "#2a7f3f"), ("submit_p99_ms", "durable, p99",
             "#8fc79c"), ("end_to_end_p50_ms", "completed, p50", "#b5482a"),
             ("end_to_end_p99_ms", "completed, p99", "#e3a493"))


def read(path):
    """The rows of each curve, in their order."""
    curves = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("{"):
                row = json.loads(line)
                if "curve" in row:
                    curves.setdefault(row["curve"], []).append(row)
    return curves


def block(name, rows, key):
    # A logarithmic scale has no zero: none waiting is drawn as one.
    points = "\n".join(f"{max(row['x'], 1)} {row[key]}" for row in rows)
    return f"${name} << END\n{points}\nEND\n"


def series(name, title, colour, axis):
    return (f"${name} using 1:2 axes x1{axis} with linespoints pt 7 ps 0.5 lw 2 "
            f"lc rgb '{colour}' title '{title}'")


def draw(path, name, rows, title, right, lines):
    numbers = [max(row["x"], 1) for row in rows]
    text = HEAD.format(path=path, title=title, name=name, right=right, least=min(numbers),
                       most=max(numbers), format="%.0s%c")
    text += "".join(block(f"d{i}", rows, key) for i, (key, *_) in enumerate(lines))
    text += "plot " + ", ".join(series(f"d{i}", *rest) for i, (_, *rest) in enumerate(lines))
    subprocess.run(["gnuplot"], input=text, text=True, check=True)
    print(path)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if not shutil.which("gnuplot"):
        sys.exit("there is no gnuplot; deploy/install.sh --bench installs it")
    folder = sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    curves = read(sys.argv[1])
    if not curves:
        sys.exit(f"{sys.argv[1]}: no lines of `run.sh scale`")
    for name, rows in curves.items():
        path = os.path.join(folder, name.replace(" ", "-"))
        rate = ("ours", "completed a second", "#1f4e9c", "y1")
        latencies = [(key, title, colour, "y2") for key, title, colour in LATENCIES]
        draw(f"{path}.svg", name, rows, f"throughput and latency against {name}",
             "ms, at a light load", [rate, *latencies])
        if "resync_s" in rows[0]:
            draw(f"{path}-resync.svg", name, rows, "an empty backup, until it is ready",
                 "seconds", [rate, ("resync_s", "until ready", "#b5482a", "y2")])


if __name__ == "__main__":
    main()
