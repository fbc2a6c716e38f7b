"""Encode, rank and train on millions of generated rows of 40 columns; measure time and memory.

    python experiments/speed/scale/run.py --rows 5000000
    python experiments/speed/scale/run.py --rows 20000000

Every verb is a process of its own. Its memory is the peak of the resident bytes of the process and
its children, mapped files included, sampled five times a second. The rows are generated in parts of
500,000; the columns have the same distinct values whatever the number of rows, so that only what
grows with rows can grow. Each call adds its rows to ``report.json`` and writes ``report.md`` next
to this file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import psutil

HERE = Path(__file__).parent
CTRKIT = [sys.executable, "-m", "ctrkit"]
BASE = 5_000_000
"""Number of rows that other numbers are compared with."""
PART_ROWS = 500_000
SIZES = (2, 2, 5, 10, 10, 20, 50, 50, 100, 100, 200, 500, 500, 1000, 1000, 2000, 5000, 5000)
SIZES += (10_000, 10_000, 20_000, 20_000, 50_000, 50_000, 100_000, 100_000, 200_000)
COUNTS, LEVELS, TOKENS, HOURS = 5, 5, 50, 1440
COLUMNS = ["--label", "label", "--time", "time", "--multi", "tokens"]
TRAIN = ["--model", "deepfm"]
SET = ("model.dim=8", "train.batch_size=8192", "train.epochs=1", "train.evals_per_epoch=1")


def part(index: int, rows: int, total: int) -> pl.DataFrame:
    """Generate one part of the rows: a label, a time, 27 categories, a list, 10 numbers."""
    effects, draw = np.random.default_rng(0), np.random.default_rng([1, index])
    logit = np.full(rows, -1.5)
    columns: dict[str, pl.Series] = {}
    for number, size in enumerate(SIZES):
        codes = (size * draw.random(rows) ** 2).astype(np.int64)
        logit += effects.normal(0, 0.15, size)[codes]
        if number % 3 == 0:
            columns[f"id_{number}"] = pl.Series(codes)
        else:
            names = pl.Series([f"value_{i:06d}" for i in range(size)], dtype=pl.String)
            columns[f"text_{number}"] = names.gather(pl.Series(codes))
    tokens = pl.Series([f"t{i}" for i in range(TOKENS)])
    first, second = (tokens.gather(pl.Series(draw.integers(0, TOKENS, rows))) for _ in "ab")
    columns["tokens"] = first + "|" + second
    for number in range(COUNTS):
        columns[f"count_{number}"] = pl.Series(np.minimum(draw.geometric(0.05, rows), 200))
    for number in range(LEVELS):
        levels = draw.integers(0, 10_000, rows) / 100
        holes = pl.Series(draw.random(rows) > 0.1)
        columns[f"level_{number}"] = pl.Series(levels).zip_with(holes, pl.Series([None]))
    label = (draw.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    hour = (index * PART_ROWS + np.arange(rows)) * HOURS // total
    time_of_row = pl.Series(1_700_000_000 + 3600 * hour)
    return pl.DataFrame({"label": label, "time": time_of_row, **columns})


def generate(folder: Path, rows: int) -> None:
    """Write parts of parquet to a folder."""
    folder.mkdir()
    for index, first in enumerate(range(0, rows, PART_ROWS)):
        frame = part(index, min(PART_ROWS, rows - first), rows)
        frame.write_parquet(folder / f"part-{index:04d}.parquet", row_group_size=100_000)


def measured(command: list[str], folder: Path) -> tuple[float, float, int]:
    """Run a process in a folder; return wall and CPU seconds, and the peak resident bytes."""
    with (folder / "log").open("wb") as log:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        peak, done = [0], threading.Event()

        def look() -> None:
            tree = psutil.Process(process.pid)
            while not done.wait(0.2):
                with contextlib.suppress(psutil.Error):
                    processes = [tree, *tree.children(recursive=True)]
                    peak[0] = max(peak[0], sum(p.memory_info().rss for p in processes))

        side = threading.Thread(target=look)
        side.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        done.set()
        side.join()
    if status:
        raise SystemExit(f"failed: {' '.join(command)}\n{(folder / 'log').read_text()[-2000:]}")
    return wall, used.ru_utime + used.ru_stime, max(peak[0], used.ru_maxrss * 1024)


def commands(data: Path, out: Path) -> dict[str, list[str]]:
    """Return the command of each verb."""
    sets = [text for key in SET for text in ("--set", key)]
    return {
        "rank": [*CTRKIT, "rank", str(data), *COLUMNS, "-o", str(out / "rank")],
        "encode": [*CTRKIT, "encode", str(data), *COLUMNS, "-o", str(out / "shards")],
        "train": [*CTRKIT, "train", str(data), *COLUMNS, *TRAIN, *sets, "-o", str(out / "run")],
    }


def measure(rows: int, folder: Path, only: list[str]) -> list[dict[str, object]]:
    """Measure the verbs on parquet; at ``BASE`` rows also on one part, as parquet and as csv."""
    os.environ.update(CTRKIT_HOME=str(folder / "home"), CTRKIT_TRACKING_URI="none")
    data = folder / "data"
    generate(data, rows)
    sources = {"parquet": (rows, data)}
    if rows == BASE:
        one = data / "part-0000.parquet"
        pl.read_parquet(one).write_csv(folder / "one.csv")
        sources["parquet, one part"] = (PART_ROWS, one)
        sources["csv, one part"] = (PART_ROWS, folder / "one.csv")
    lines: list[dict[str, object]] = []
    for name, (count, path) in sources.items():
        for verb, command in commands(path, folder).items():
            if only and verb not in only:
                continue
            wall, cpu, peak = measured(command, folder)
            lines.append(
                {
                    "rows": count,
                    "data": name,
                    "verb": verb,
                    "peak_mb": round(peak / 1e6),
                    "seconds": round(wall, 1),
                    "cpu_seconds": round(cpu, 1),
                }
            )
            print(lines[-1], flush=True)
            for made in ("rank", "shards", "run", "home"):
                shutil.rmtree(folder / made, ignore_errors=True)
    return lines


def write(lines: list[dict[str, object]]) -> None:
    """Replace measurements of the same kind in ``report.json``; write the table."""
    path = HERE / "report.json"
    report = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"lines": []}
    kind = ("rows", "data", "verb")
    merged = {tuple(line[k] for k in kind): line for line in (*report["lines"], *lines)}
    ordered = sorted(merged.values(), key=lambda line: (line["verb"], line["data"], line["rows"]))
    report = {
        "cpus": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "python": platform.python_version(),
        "polars": pl.__version__,
        "train": [*TRAIN, *SET],
        "lines": ordered,
    }
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    base = {line["verb"]: line for line in ordered if line["rows"] == BASE}
    table = [
        "| verb | data | rows | peak MB | seconds | of 5 million rows |",
        "|---|---|---|---|---|---|",
    ]
    for line in ordered:
        first = base.get(line["verb"])
        ratio = f"{line['seconds'] / first['seconds']:.2f}" if first else ""
        cells = (line["verb"], line["data"], f"{line['rows']:,}", line["peak_mb"])
        table.append(f"| {' | '.join(map(str, cells))} | {line['seconds']} | {ratio} |")
    text = f"# Rows of 40 columns in bounded memory\n\n{chr(10).join(table)}\n"
    (HERE / "report.md").write_text(text, encoding="utf-8")
    print(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=BASE)
    parser.add_argument("--verb", action="append", default=[], help="measure this verb alone")
    parser.add_argument("--folder", type=Path, help="folder for temporary files")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="scale-", dir=args.folder))
    try:
        write(measure(args.rows, folder, args.verb))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
