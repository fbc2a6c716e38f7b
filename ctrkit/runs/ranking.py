"""The folder of a ranking: the table, the narrowed schema, the report."""

from __future__ import annotations

import json
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ctrkit.checksums import CHECKSUMS, forget_checksums, write_checksums
from ctrkit.data.columns.formulas import without_formulas
from ctrkit.errors import RunFolderError, SchemaError
from ctrkit.files import hidden_folder, refuse_links, remove_abandoned
from ctrkit.records import Progress
from ctrkit.schema import Cross, Field, Schema

if TYPE_CHECKING:
    from ctrkit.data.read.sources import Source
    from ctrkit.rank import Ranking, RankOptions
FILES = ("rank.json", "rank.parquet", "rank.csv", "schema.toml", "report.html", "report.md")
"""What a ranking writes; a folder with ``rank.json``, the first of them, holds a ranking."""
STAGE = "ranking"
"""Name of the hidden folder in which they are written; while it is there, they may be mixed."""


def claim_ranking(folder: Path, *, force: bool) -> None:
    """Check that a ranking may be written to a folder.

    Raises:
        RunFolderError: The path is a file, the folder holds files but no ranking, or it holds a
            ranking and ``force`` is off. A ranking that was killed while it put its files in
            place may be written again.
    """
    where = repr(str(folder))
    if folder.is_file():
        raise RunFolderError(f"the output {where} is a file; name a folder with -o")
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    killed = [name for name in names if name.startswith(f".{STAGE}-")]
    if not names or (killed and {*names} <= {*killed, *FILES}):
        return
    refuse_links(folder)
    if not (folder / "rank.json").is_file():
        raise RunFolderError(
            f"the folder {where} holds other files and no ranking; name another folder with -o"
        )
    if not force:
        raise RunFolderError(
            f"the folder {where} holds a ranking already; name another folder with -o, or "
            "overwrite it with --force"
        )


@dataclass(frozen=True)
class RankFiles:
    """What a ranking's folder gets beside the table.

    Attributes:
        crosses: Number of the best crosses that the narrowed schema declares as fields.
        report: Whether to write ``report.html`` and ``report.md``.
        safe_csv: Keep spreadsheets from reading names in ``rank.csv`` as formulas.
    """

    crosses: int = 0
    report: bool = True
    safe_csv: bool = False


ALL_FILES = RankFiles()


def run_ranking(
    source: Source,
    schema: Schema,
    folder: Path,
    options: RankOptions,
    files: RankFiles = ALL_FILES,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Ranking:
    """Rank the features of raw rows; write the ranking to a folder.

    Args:
        source: The rows.
        schema: What their columns mean.
        folder: The folder to write; see :func:`claim_ranking`.
        options: How features are scored and tested.
        files: What is written to the folder beside the table.
        executor: Counts the files in parallel.
        progress: Shows how far the ranking is.

    Raises:
        SchemaError: No column is the label.
    """
    from ctrkit.rank import rank_source

    if schema.label is None:
        raise SchemaError("a ranking needs a label: name its column with --label")

    def advance(stage: str, done: int, total: int | None) -> None:
        if progress is not None:
            progress.update(stage, done, total)

    ranking = rank_source(source, schema, options, executor=executor, progress=advance)
    if not ranking.kept:
        message = "no field is distinguishable from noise: the narrowed schema keeps all of them"
        ranking = replace(ranking, warnings=(*ranking.warnings, message))
    narrow = narrowed(schema, ranking, files.crosses)
    _write(ranking, narrow, folder, report=files.report, safe_csv=files.safe_csv)
    return ranking


def narrowed(schema: Schema, ranking: Ranking, crosses: int = 0) -> Schema:
    """Return the schema with the kept fields alone, and the best crosses of them.

    Where no field is kept, the schema is returned unchanged: a model needs some.
    """
    if not ranking.kept:
        return schema
    narrow = schema.select(ranking.kept)
    crossable = {f.name for f in narrow.fields if _is_crossable(f)}
    declared = {c.name for c in narrow.crosses}
    best = [
        row
        for row in ranking.crosses
        if row.gain and not row.flags and {*row.members} <= crossable and row.name not in declared
    ]
    added = [
        Cross(f"{row.name} (cross)" if row.name in narrow.names else row.name, row.members)
        for row in best[:crosses]
    ]
    return replace(narrow, crosses=(*narrow.crosses, *added))


def _is_crossable(field: Field) -> bool:
    """Return whether a cross of the schema can have the field as a member: it has one code."""
    return field.kind == "categorical" or field.component[0] == "bucket"


def _write(ranking: Ranking, schema: Schema, folder: Path, *, report: bool, safe_csv: bool) -> None:
    """Write all files to a hidden folder, then move them in, so that no file is half written."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder, STAGE)
    with hidden_folder(folder / STAGE) as temporary:
        frame = ranking.frame()
        frame.write_parquet(temporary / "rank.parquet")
        lists = [
            pl.Series(name, [json.dumps(v, ensure_ascii=False) for v in frame[name].to_list()])
            for name in ("members", "flags")
        ]
        table = frame.with_columns(lists)
        (without_formulas(table) if safe_csv else table).write_csv(temporary / "rank.csv")
        text = json.dumps(ranking.to_json(), indent=1, ensure_ascii=False)
        (temporary / "rank.json").write_text(text + "\n", encoding="utf-8")
        schema.save(temporary / "schema.toml")
        if report:
            from ctrkit.report import summarise_ranking, write_report

            summary = summarise_ranking(ranking)
            write_report(summary, temporary / "report.html")
            write_report(summary, temporary / "report.md")
        write_checksums(temporary / CHECKSUMS, temporary)
        forget_checksums(folder)
        for name in (*FILES, CHECKSUMS):
            if (temporary / name).is_file():
                (temporary / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
