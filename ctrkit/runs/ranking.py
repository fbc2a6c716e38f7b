"""A ranking's folder: the table, the narrowed schema, the report."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from ctrkit.errors import SchemaError
from ctrkit.schema import Cross, Schema

if TYPE_CHECKING:
    from ctrkit.data.read.sources import Source
    from ctrkit.rank import Ranking, RankOptions
FORMAT = 1
TYPES: dict[str, Any] = {
    "rank": pl.Int64,
    "name": pl.String,
    "members": pl.List(pl.String),
    "order": pl.Int64,
    **dict.fromkeys(
        ("score", "gain", "mi", "emi", "adj", "ami", "sd", "z", "p", "q", "synergy", "interaction"),
        pl.Float64,
    ),
    "cardinality": pl.Int64,
    "coverage": pl.Float64,
    "rare_share": pl.Float64,
    "redundancy_group": pl.Int64,
    "drift": pl.Float64,
    "flags": pl.List(pl.String),
}
FILES = ("rank.parquet", "rank.csv", "rank.json", "schema.toml", "report.html", "report.md")


def run_ranking(
    source: Source,
    schema: Schema,
    folder: Path,
    chosen: RankOptions,
    *,
    crosses: int = 0,
    report: bool = True,
    executor: Executor | None = None,
    progress: Any = None,
) -> Ranking:
    """Rank rows that are open and understood; the arguments are those of :func:`rank`."""
    from ctrkit.rank import rank_source

    if schema.label is None:
        raise SchemaError("a ranking needs a label: name its column with --label")

    def advance(stage: str, done: int, total: int | None) -> None:
        if progress is not None:
            progress.update(stage, done, total)

    ranking = rank_source(source, schema, chosen, executor=executor, progress=advance)
    if not ranking.kept:
        nothing = "no field is told from noise: the narrowed schema keeps all of them"
        ranking.warnings = [*ranking.warnings, nothing]
    _write(ranking, narrowed(schema, ranking, crosses), folder, report=report)
    return ranking


def table(ranking: Ranking) -> pl.DataFrame:
    """Return the ranking as a frame with the columns of ``rank.*``."""
    return pl.DataFrame(ranking.features, schema=TYPES)


def as_data(ranking: Ranking) -> dict[str, Any]:
    """Return the ranking as ``rank.json`` holds it: each feature with what its flags rest on."""
    features = []
    for row in ranking.features:
        evidence = dict(ranking.evidence.get(row["name"], {})) if row["order"] == 1 else {}
        why = evidence.pop("flags", {})
        features.append({**row, **evidence, "why": why})
    return {
        "format": FORMAT,
        "facts": ranking.facts,
        "warnings": ranking.warnings,
        "kept": ranking.kept,
        "features": features,
    }


def narrowed(schema: Schema, ranking: Ranking, crosses: int = 0) -> Schema:
    """Return the schema with the fields that earned their place, and the best crosses.

    Without any such field, the schema is returned as it was: a model needs some.
    """
    if not ranking.kept:
        return schema
    found = schema.select(ranking.kept)
    best = [r for r in ranking.features if r["order"] == 2 and r["gain"] and not r["flags"]]
    known = {c.name for c in found.crosses}
    added = [
        Cross(r["name"], tuple(r["members"]))
        for r in best[:crosses]
        if r["name"] not in known and set(r["members"]) <= set(ranking.kept)
    ]
    return replace(found, crosses=(*found.crosses, *added))


def _write(ranking: Ranking, schema: Schema, folder: Path, *, report: bool) -> None:
    """Write all files beside and move them in, so that a folder is whole or not there."""
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        frame = table(ranking)
        frame.write_parquet(beside / "rank.parquet")
        lists = [
            pl.Series(name, [json.dumps(v, ensure_ascii=False) for v in frame[name].to_list()])
            for name in ("members", "flags")
        ]
        frame.with_columns(lists).write_csv(beside / "rank.csv")
        whole = as_data(ranking)
        text = json.dumps(whole, indent=1, ensure_ascii=False)
        (beside / "rank.json").write_text(text + "\n", encoding="utf-8")
        schema.save(beside / "schema.toml")
        if report:
            from ctrkit.report import summarise_ranking, write_report

            summary = summarise_ranking(whole)
            write_report(summary, beside / "report.html")
            write_report(summary, beside / "report.md")
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if (beside / name).is_file():
                (beside / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
