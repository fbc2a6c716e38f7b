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
        nothing = "no field is distinguishable from noise: the narrowed schema keeps all of them"
        ranking = replace(ranking, warnings=(*ranking.warnings, nothing))
    _write(ranking, narrowed(schema, ranking, crosses), folder, report=report)
    return ranking


def narrowed(schema: Schema, ranking: Ranking, crosses: int = 0) -> Schema:
    """Return the schema with the fields that earned their place, and the best crosses.

    Without any such field, the schema is returned as it was: a model needs some.
    """
    if not ranking.kept:
        return schema
    found = schema.select(ranking.kept)
    best = [row for row in ranking.crosses if row.gain and not row.flags]
    declared = {c.name for c in found.crosses}
    added = [
        Cross(row.name, row.members)
        for row in best[:crosses]
        if row.name not in declared and set(row.members) <= set(ranking.kept)
    ]
    return replace(found, crosses=(*found.crosses, *added))


def _write(ranking: Ranking, schema: Schema, folder: Path, *, report: bool) -> None:
    """Write all files beside and move them in, so that a folder is whole or not there."""
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        frame = ranking.frame()
        frame.write_parquet(beside / "rank.parquet")
        lists = [
            pl.Series(name, [json.dumps(v, ensure_ascii=False) for v in frame[name].to_list()])
            for name in ("members", "flags")
        ]
        frame.with_columns(lists).write_csv(beside / "rank.csv")
        text = json.dumps(ranking.to_json(), indent=1, ensure_ascii=False)
        (beside / "rank.json").write_text(text + "\n", encoding="utf-8")
        schema.save(beside / "schema.toml")
        if report:
            from ctrkit.report import summarise_ranking, write_report

            summary = summarise_ranking(ranking)
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
