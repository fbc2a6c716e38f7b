"""The leak suite: twelve kinds of leak, planted into six public data sets, and what is found.

    CTRKIT_SHARED=DATA python experiments/leaks/run.py

For every data set, as it is and with each kind planted by ``ctrkit.testing.leaks``: which flags
``ctrkit rank`` sets on the planted field, what ``ctrkit train`` warns about before its first step,
and the alarms about other fields. Writes ``report.json`` and ``report.md`` next to this file; sets
that are not named keep their figures. The data must be there already; none of it is kept here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from ctrkit.data.infer import Overrides, infer_schema
from ctrkit.data.read.sources import Source, frame_source
from ctrkit.data.store.dataset import EncodeOptions, prepare_dataset
from ctrkit.rank import RankOptions, rank_source
from ctrkit.rank.flags.base import all_flags
from ctrkit.rank.leaks import leak_warnings
from ctrkit.schema import Schema
from ctrkit.testing.leaks import KINDS, LeakCase, plant_leak

HERE = Path(__file__).parent
DATASETS = HERE.parents[1] / "datasets"
HELD_OUT = ("anime", "french-motor")
"""Sets that were not looked at while flags were written: see README.md."""
WAY_OUT = ("--ignore", "--key")  # every line of a leak names one of them
COPIES = "copied rows"


def prepared(name: str, source: str) -> Callable[[Path], LeakCase]:
    """Return a loader that runs a recipe."""

    def load(data: Path) -> LeakCase:
        script = DATASETS / name / "prepare.py"
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "data"
            command = [sys.executable, script, "--source", data / source, "-o", out]
            subprocess.run([str(c) for c in command], check=True, stderr=subprocess.DEVNULL)
            return LeakCase(pl.read_parquet(out / "*.parquet"), "label")

    return load


def flights(data: Path) -> LeakCase:
    """Read the flights, with the scheduled hour as their time."""
    frame = pl.read_parquet(data / "flights" / "flights.parquet")
    day = pl.date(2013, pl.col("month"), pl.col("day")).cast(pl.Datetime("us"))
    frame = frame.with_columns(time=day + pl.duration(hours=pl.col("shour")))
    return LeakCase(frame, "late", "time")


def anime(data: Path) -> LeakCase:
    """Read the rated anime; the label is a rating of 8 or more."""
    frame = pl.read_parquet(data / "anime" / "anime.parquet")
    frame = frame.with_columns(pl.col("rating_given").fill_nan(None)).drop_nulls("rating_given")
    like = (pl.col("rating_given") >= 8).cast(pl.Int8)
    frame = frame.with_columns(like=like, genre=pl.col("genre").str.split(", "))
    return LeakCase(frame.drop("rating_given"), "like")


def french_motor(data: Path) -> LeakCase:
    """Read the insurance policies."""
    return LeakCase(pl.read_parquet(data / "french-motor" / "policies.parquet"), "claim")


SETS: dict[str, Callable[[Path], LeakCase]] = {
    "movielens-1m": prepared("movielens_1m", "movielens-1m"),
    "criteo": prepared("criteo", "criteo-sample/train_10k.txt"),
    "avazu": prepared("avazu", "avazu-sample/train_10k.csv"),
    "flights": flights,
    "anime": anime,
    "french-motor": french_motor,
}


def load_set(name: str, data: Path, rows: int) -> LeakCase:
    """Return a data set, at most so many of its rows (0: all), drawn at random, in their order."""
    case = SETS[name](data)
    if rows and case.frame.height > rows:
        keep = pl.int_range(case.frame.height, eager=True).sample(rows, seed=0).sort()
        case = replace(case, frame=case.frame[keep])
    return case


def opened(case: LeakCase) -> tuple[Source, Schema]:
    """Return the rows and the inferred schema."""
    source = frame_source(case.frame)
    ignored = (case.split.column or "",) if case.split else ()
    schema, _ = infer_schema(source, Overrides(label=case.label, time=case.time, ignore=ignored))
    return source, replace(schema, split=case.split)


def ranked(case: LeakCase) -> dict[str, list[str]]:
    """Rank; return each alarm: field -> flags of leaks, the most severe first."""
    source, schema = opened(case)
    ranking = rank_source(source, schema, RankOptions())
    leaks = {name for name, flag in all_flags().items() if flag.leaks}
    alarms = {row.name: [f for f in row.flags if f in leaks] for row in ranking.singles}
    if ranking.facts.duplicates is not None:
        alarms[COPIES] = ["duplicates"]
    return {name: flags for name, flags in alarms.items() if flags}


def trained(case: LeakCase) -> tuple[list[str], float, float]:
    """Encode as ``train`` does; return the fields warned about, and seconds with and for it."""
    source, schema = opened(case)
    spent = []

    def inspect(*args: Any, **options: Any) -> list[str]:
        started = time.process_time()
        lines = leak_warnings(*args, **options)
        spent.append(time.process_time() - started)
        return lines

    started = time.process_time()
    dataset = prepare_dataset(source, schema, EncodeOptions(inspect=inspect))
    lines = [w for w in dataset.warnings if any(way in w for way in WAY_OUT)]
    fields = [w.split("'")[1] if w.startswith("'") else COPIES for w in lines]
    return fields, time.process_time() - started, spent[0]


def outcome(case: LeakCase) -> dict[str, Any]:
    """Return what is found of one planted leak, and the alarms about other fields."""
    alarms, (warned, _, _) = ranked(case), trained(case)
    planted = case.planted or COPIES
    return {
        "flags": alarms.pop(planted, []),
        "train": planted in warned,
        "others": sorted(alarms),
        "train_others": sorted(set(warned) - {planted}),
    }


def measured(case: LeakCase) -> dict[str, Any]:
    """Return the alarms about a data set as it is, and the outcome of each planted kind."""
    warned, seconds, inspection = trained(case)
    clean = {"rank": ranked(case), "train": sorted(warned)}
    return {
        "rows": case.frame.height,
        "columns": case.frame.width,
        "clean": clean,
        "encode_cpu_s": round(seconds, 2),
        "inspection_cpu_s": round(inspection, 2),
        "kinds": {kind: outcome(plant_leak(kind, case)) for kind in KINDS},
    }


def markdown(report: dict[str, Any]) -> str:
    """Return the matrix of kinds and sets."""
    sets = [name for name in SETS if name in report]
    titles = [f"{n}{' (held out)' if n in HELD_OUT else ''}" for n in sets]
    lines = ["| planted | " + " | ".join(titles) + " |", "|---" * (len(sets) + 1) + "|"]
    for kind in KINDS:
        cells = [_cell(report[name]["kinds"][kind]) for name in sets]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    rows: dict[str, Callable[[dict[str, Any]], str]] = {
        "alarms without a planted leak, rank": lambda s: _names(s["clean"]["rank"]),
        "alarms without a planted leak, train": lambda s: _names(s["clean"]["train"]),
        "rows": lambda s: f"{s['rows']:,}",
        "columns": lambda s: str(s["columns"]),
        "encoding, CPU seconds": lambda s: f"{s['encode_cpu_s']:.2f}",
        "of these for the warnings": lambda s: f"{s['inspection_cpu_s']:.2f}",
    }
    for title, cell in rows.items():
        lines.append(f"| {title} | " + " | ".join(cell(report[n]) for n in sets) + " |")
    return "\n".join([*lines, "", *_summary(report, sets)]) + "\n"


def _cell(found: dict[str, Any]) -> str:
    text = ", ".join(found["flags"]) or "not found"
    return text if found["train"] else f"{text}; train: not found"


def _names(fields: dict[str, Any] | list[str]) -> str:
    return f"{len(fields)} ({', '.join(fields)})" if fields else "0"


def _summary(report: dict[str, Any], sets: list[str]) -> list[str]:
    kinds = [report[n]["kinds"][k] for n in sets for k in KINDS]
    others = {
        (n, field)
        for n in sets
        for found in report[n]["kinds"].values()
        for field in (*found["others"], *found["train_others"])
        if field not in report[n]["clean"]["rank"]
    }
    return [
        f"Found by `rank`: {sum(bool(k['flags']) for k in kinds)} of {len(kinds)}; by `train`: "
        f"{sum(k['train'] for k in kinds)}. Most alarms in a set without a planted leak: "
        f"{max(len(report[n]['clean']['rank']) for n in sets)}. Further fields that were flagged "
        f"beside a planted one: {', '.join(f'{n}: {f}' for n, f in sorted(others)) or 'none'}.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="default: CTRKIT_SHARED/data")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--rows", type=int, default=200_000, help="most rows of a set; 0: all")
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    data = args.data or Path(os.environ["CTRKIT_SHARED"]) / "data"
    path = args.out / "report.json"
    for name in args.sets:
        found = measured(load_set(name, data, args.rows))
        report = json.loads(path.read_text()) if path.is_file() else {}
        report[name] = found
        path.write_text(json.dumps(report, indent=1) + "\n")
        (args.out / "report.md").write_text(markdown(report))
    print((args.out / "report.md").read_text())


if __name__ == "__main__":
    main()
