"""Rank many columns of few rows: the time must grow with the columns, not with their square.

    python experiments/speed/wide/run.py

Generates 500 rows of 300, 1,000 and 3,000 columns (numbers, small integers, texts, bits) as parquet
and csv, and runs ``ctrkit rank`` on each, as processes of their own. Writes ``report.json`` and
``report.md`` next to this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

HERE = Path(__file__).parent


def wide_frame(rows: int, columns: int) -> pl.DataFrame:
    """Generate a label and columns without a relation to it."""
    draw = np.random.default_rng(0)
    data = {"label": pl.Series((draw.random(rows) < 0.3).astype(np.int64))}
    for i in range(columns):
        if i % 4 == 0:
            data[f"c{i}"] = pl.Series(draw.normal(size=rows))
        elif i % 4 == 1:
            data[f"c{i}"] = pl.Series(draw.integers(0, 10, rows))
        elif i % 4 == 2:
            codes = pl.Series(draw.integers(0, (3, 50, 400)[i % 3], rows))
            data[f"c{i}"] = "v" + codes.cast(pl.String)
        else:
            data[f"c{i}"] = pl.Series(draw.integers(0, 2, rows))
    return pl.DataFrame(data)


def measured(path: Path, out: Path) -> dict[str, float]:
    """Rank a file; return seconds, and the largest resident size in MB."""
    command = [sys.executable, "-m", "ctrkit", "rank", str(path), "--label", "label", "--force"]
    started = time.perf_counter()
    with (out.parent / "log").open("wb") as log:
        process = subprocess.Popen([*command, "-o", str(out)], stdout=log, stderr=log)
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit((out.parent / "log").read_text()[-2000:])
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss * 1024 / 1e6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--columns", type=int, nargs="*", default=[300, 1000, 3000])
    args = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory(prefix="wide-") as scratch:
        folder = Path(scratch)
        for columns in args.columns:
            frame = wide_frame(args.rows, columns)
            frame.write_parquet(folder / "data.parquet")
            frame.write_csv(folder / "data.csv")
            for name in ("parquet", "csv"):
                found = measured(folder / f"data.{name}", folder / "ranked")
                lines.append({"columns": columns, "data": name, **found})
                print(lines[-1], flush=True)
    report = {
        "rows": args.rows,
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "polars": pl.__version__,
        "lines": lines,
    }
    (HERE / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    table = [
        f"# Ranking {args.rows} rows of many columns",
        "",
        "| columns | data | seconds | CPU seconds | peak MB |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(str(value) for value in line.values())} |" for line in lines),
        "",
    ]
    (HERE / "report.md").write_text("\n".join(table), encoding="utf-8")


if __name__ == "__main__":
    main()
