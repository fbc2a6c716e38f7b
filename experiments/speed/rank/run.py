"""Rank the same generated file by ctrkit and by the public ``outrank`` package, alternating.

    python -m venv peer && peer/bin/pip install outrank==0.97.5 "xxhash<4"
    python experiments/speed/rank/run.py --outrank peer/bin/outrank

Whole processes, wall time and peak memory of the process tree; every figure is a ratio within one
run. Writes ``report.json`` and ``report.md`` next to this file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import polars as pl
import psutil

from ctrkit.rank.joint import JointCounts
from ctrkit.schema import Field, Schema
from ctrkit.testing.generated import ranking_fields

HERE = Path(__file__).parent
CTRKIT = Path(sys.executable).with_name("ctrkit")


def measured(command: list[str], folder: Path) -> tuple[float, int]:
    """Run a process in a folder; return wall seconds and the peak resident bytes of its tree.

    Memory is sampled four times a second in a thread, because sampling takes time of a core too.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak, done = [0], threading.Event()

    def look() -> None:
        tree = psutil.Process(process.pid)
        while not done.wait(0.25):
            with contextlib.suppress(psutil.Error):
                parts = [tree, *tree.children(recursive=True)]
                peak[0] = max(peak[0], sum(p.memory_info().rss for p in parts))

    side = threading.Thread(target=look)
    side.start()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    done.set()
    side.join()
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return wall, max(peak[0], used.ru_maxrss * 1024)


def floor(path: Path) -> float:
    """Read the parquet file and group by every column once, in this process."""
    started = time.perf_counter()
    frame = pl.read_parquet(path)
    lazy = frame.lazy()
    names = [c for c in frame.columns if c != "label"]
    pl.collect_all([lazy.group_by(n).agg(pl.len(), pl.col("label").sum()) for n in names])
    return time.perf_counter() - started


def counted(path: Path) -> float:
    """Count and score the same in this process, by ctrkit."""
    from ctrkit.rank.spectrum import Spectrum
    from ctrkit.rank.statistics import Scorer

    started = time.perf_counter()
    frame = pl.read_parquet(path)
    names = [c for c in frame.columns if c != "label"]
    counts = JointCounts(Schema(tuple(Field(n, "categorical") for n in names)))
    counts.update(frame, frame["label"].to_numpy())
    scorer = Scorer(counts.totals)
    tables = [counts.table(n).select(pl.exclude("value")).to_numpy() for n in names]
    scorer.score([Spectrum.of(t) for t in tables])
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--outrank", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--skip-pairs", action="store_true")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rank-"))
    frame, _ = ranking_fields(args.rows, 7)
    frame.write_parquet(folder / "data.parquet")
    frame.write_csv(folder / "data.csv")
    label = ["--label", "label", "--force", "-o", str(folder / "ranked")]
    peer = [
        str(args.outrank.absolute()),
        "--task",
        "ranking",
        "--data_path",
        str(folder),
        "--data_source",
        "csv-raw",
        "--label_column",
        "label",
        "--output_folder",
        str(folder / "peer"),
    ]
    rank = [str(CTRKIT), "rank"]
    parquet, csv = str(folder / "data.parquet"), str(folder / "data.csv")
    commands = {
        "outrank, all rows": [*peer, "--subsampling", "1"],
        "ctrkit, parquet": [*rank, parquet, *label, "--no-report"],
        "ctrkit, csv": [*rank, csv, *label, "--no-report"],
        "ctrkit, parquet, with report": [*rank, parquet, *label],
    }
    if not args.skip_pairs:
        commands["outrank, pairs, 1 row in 10"] = [*peer, "--interaction_order", "2"]
        commands["ctrkit, pairs, all rows"] = [
            *rank,
            parquet,
            *label,
            "--order",
            "2",
            "--no-report",
        ]
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in commands}
    for turn in range(args.times):
        for name, command in commands.items():
            if name.startswith("outrank, pairs") and turn:
                continue
            shutil.rmtree(folder / "peer", ignore_errors=True)
            found[name].append(measured(command, folder))
            print(f"{turn} {name}: {found[name][-1][0]:.2f} s", flush=True)
    floors = [(floor(folder / "data.parquet"), counted(folder / "data.parquet")) for _ in range(5)]
    shutil.rmtree(folder)
    write(found, floors, args.rows)


def write(
    found: dict[str, list[tuple[float, int]]], floors: list[tuple[float, float]], rows: int
) -> None:
    wall = {n: statistics.median(t for t, _ in runs) for n, runs in found.items()}
    peak = {n: max(m for _, m in runs) / 1e6 for n, runs in found.items()}
    slow = wall["outrank, all rows"]
    ratios = {
        "parquet": slow / wall["ctrkit, parquet"],
        "csv": slow / wall["ctrkit, csv"],
        "report adds, s": wall["ctrkit, parquet, with report"] - wall["ctrkit, parquet"],
        "memory": peak["ctrkit, parquet"] / peak["outrank, all rows"],
        "count and score over read and group-by": min(c for _, c in floors)
        / min(f for f, _ in floors),
    }
    if "ctrkit, pairs, all rows" in wall:
        ratios["pairs, per row-pair"] = (
            10 * wall["outrank, pairs, 1 row in 10"] / wall["ctrkit, pairs, all rows"]
        )
    data = {
        "rows": rows,
        "features": 39,
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "polars": pl.__version__,
        "wall_s": {n: [round(t, 2) for t, _ in r] for n, r in found.items()},
        "peak_mb": {n: round(v) for n, v in peak.items()},
        "ratios": {n: round(v, 2) for n, v in ratios.items()},
    }
    (HERE / "report.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    lines = [
        f"# Ranking {rows:,} rows x 39 features",
        "",
        "| process | wall s (each run) | peak MB |",
        "|---|---|---|",
    ]
    lines += [
        f"| {n} | {', '.join(map(str, data['wall_s'][n]))} | {data['peak_mb'][n]} |" for n in found
    ]
    lines += ["", *(f"- {n}: {v}" for n, v in data["ratios"].items()), ""]
    (HERE / "report.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
