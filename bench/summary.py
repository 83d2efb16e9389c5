"""summary.py [FILE...]: medians of bench/results/*.json as Markdown tables, with the range and the number of measurements."""
import collections
import json
import pathlib
import statistics
import sys

files = sys.argv[1:] or sorted(str(path) for path in (pathlib.Path(__file__).parent / "results").glob("*.json"))
groups = collections.OrderedDict()
for name in files:
    for line in open(name):
        if not line.startswith("{"):
            continue
        row = json.loads(line)
        key = (row.get("bench") or row.get("peer"), row["metric"], row.get("concurrency", 1), row["unit"])
        groups.setdefault(key, []).append(row)


def show(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


last = None
for (bench, metric, concurrency, unit), rows in sorted(groups.items(), key=lambda item: item[0][0]):
    if bench != last:
        print(f"\n### {bench}\n\n| figure | at | median | range | unit | p50 ms | p99 ms | n |\n|---|---|---|---|---|---|---|---|")
        last = bench
    values = [row["value"] for row in rows]
    middle = lambda name: show(statistics.median(row[name] for row in rows)) if all(name in row for row in rows) else ""
    bad = " (errors!)" if any(row.get("errors") or row.get("err") for row in rows) else ""
    print(f"| {metric}{bad} | {concurrency} | {show(statistics.median(values))} | {show(min(values))} … {show(max(values))} | {unit} | {middle('p50_ms')} | {middle('p99_ms')} | {len(rows)} |")
