"""Compares the columns tiny and large of a CSV file, and writes result.json."""

import csv
import json
import math
import os
import sys
import time

begin = time.perf_counter()
with open(sys.argv[1], newline="") as f:
    rows = [{key: float(row[key]) for key in ("width", "tiny", "large")} for row in csv.DictReader(f)]

ratios = [row["tiny"] / row["large"] for row in rows]
slowest = max(rows, key=lambda row: row["tiny"])

os.makedirs("out")
with open("out/lines.txt", "w") as f:
    for row, ratio in zip(rows, ratios):
        print(f"width {row['width']}: {'faster' if ratio > 1 else 'no faster'}", file=f)

with open("result.json", "w") as f:
    json.dump({
        "speedup": math.exp(sum(map(math.log, ratios)) / len(ratios)),
        "slowest": {"width": slowest["width"], "saved": slowest["tiny"] - slowest["large"]},
        "elapsed_ms": 1000 * (time.perf_counter() - begin),
    }, f)
print(f"compared {len(rows)} networks")
