"""The verb ``rank``: raw rows to a table of features and crosses, a narrowed schema, a report."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import polars as pl

from ctrkit.errors import RunFolderError, SchemaError
from ctrkit.jobs.inputs import DataOptions, PathLike, open_job, place_of
from ctrkit.schema import Cross, Schema

if TYPE_CHECKING:
    from ctrkit.data.sources import Source
    from ctrkit.rank import Ranking, RankOptions

FORMAT = 1
SAMPLE_ROWS = 20_000
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


def rank(
    data: PathLike,
    *,
    out: PathLike = "rank",
    score: str = "gain",
    order: int = 1,
    evaluate: int | None = None,
    seconds: float | None = None,
    noise_controls: bool = False,
    three_mr: int = 0,
    missing: Sequence[str] = ("",),
    rare: int = 5,
    redundant: float = 0.8,
    tokens: int = 20,
    replicates: int = 10,
    seed: int = 0,
    crosses: int = 0,
    report: bool = True,
    force: bool = False,
    executor: Executor | None = None,
    progress: Any = None,
    **options: Unpack[DataOptions],
) -> Ranking:
    """Rank every feature of raw rows, and crosses of two, without training or encoding.

    Args:
        data: File, glob, directory or URL.
        out: Folder to write: ``rank.parquet``, ``rank.csv``, ``rank.json``, the narrowed
            ``schema.toml`` and ``report.html``. An earlier ranking needs ``force``.
        score: ``gain``, ``adj``, ``ami``, ``mi``, ``z``, ``outrank`` or ``randomised``.
        order: 1: features; 2: also crosses of two.
        evaluate: Crosses whose gain is computed; None: the best twentieth of the screen.
        seconds: Time for the crosses.
        noise_controls: Plant columns without meaning; what scores below the best is noise.
        three_mr: Features, the best that are not noise, to put in 3MR order.
        missing: Texts that mean a missing value, besides null.
        rare: A value is rare below this many rows.
        redundant: Adjusted mutual information from which two features count as one.
        tokens: Tokens of a list that are ranked as 0/1 features.
        replicates: Permutations of the ``randomised`` score.
        seed: Of the ``randomised`` score.
        crosses: Best crosses that the narrowed schema declares as fields.
        report: Write ``report.html`` and ``report.md``.
        force: Replace an earlier ranking in ``out``.
        executor: Counts the files side by side; any ``concurrent.futures.Executor``.
        progress: Object with ``update(stage, done, total, text)``.
        **options: See :class:`~ctrkit.jobs.inputs.DataOptions`.
    """
    folder = Path(out)
    _refuse_folder(folder, force=force)
    place = place_of(data, options)
    with ThreadPoolExecutor(1) as pool:  # imports take as long as rows to read
        rooms = [pool.submit(import_module, name) for name in ("ctrkit.rank", "numpy.ma")]
        source, schema, _ = open_job(place, options, hold=True, rows=SAMPLE_ROWS)
    for room in rooms:
        room.result()
    from ctrkit.rank import RankOptions

    chosen = RankOptions(
        score=score,  # type: ignore[arg-type]
        order=order,
        evaluate=evaluate,
        seconds=seconds,
        noise_controls=noise_controls,
        three_mr=three_mr,
        missing=tuple(missing),
        rare=rare,
        redundant=redundant,
        tokens=tokens,
        replicates=replicates,
        seed=seed,
    )
    return run_ranking(
        source,
        schema,
        folder,
        chosen,
        crosses=crosses,
        report=report,
        executor=executor,
        progress=progress,
    )


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


def _refuse_folder(folder: Path, *, force: bool) -> None:
    if folder.is_file():
        raise RunFolderError(f"{str(folder)!r} is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / "rank.json").is_file():
            raise RunFolderError(f"{str(folder)!r} holds other files; name a new folder")
        if not force:
            raise RunFolderError(
                f"{str(folder)!r} holds another ranking; name a new folder or give --force"
            )


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
