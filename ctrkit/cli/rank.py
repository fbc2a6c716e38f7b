"""``ctrkit rank``: features and crosses, ranked by how well they predict the label."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Unpack

from typer import Option

from ctrkit.cli.options import Data, DataOptions, Force, Json, OutFolder, SafeCsv
from ctrkit.cli.printing import Table, show, warn
from ctrkit.cli.progress import ProgressBar
from ctrkit.components import STATIC

if TYPE_CHECKING:
    from ctrkit.rank import Ranking

SCORES = [entry.name for entry in STATIC if entry.kind == "score"]
SHOWN = 20
"""Features, and crosses, that are printed."""


def rank(
    data: Data,
    out: OutFolder = Path("rank"),
    order: Annotated[
        int, Option(min=1, max=2, help="1: rank features; 2: also crosses of two features.")
    ] = 1,
    score: Annotated[str, Option(help=f"Score to sort by: {', '.join(SCORES)}.")] = "gain",
    evaluate: Annotated[
        int | None,
        Option(min=0, help="Number of crosses to compute the gain of; default: the best 5 %."),
    ] = None,
    seconds: Annotated[
        float | None,
        Option(min=0, help="Time limit for the crosses; how many were evaluated is reported."),
    ] = None,
    noise_controls: Annotated[
        bool,
        Option(
            "--noise-controls", help="Add random columns; features that score below them are noise."
        ),
    ] = False,
    three_mr: Annotated[
        int, Option("--3mr", min=0, help="Number of the best features to put in 3MR order.")
    ] = 0,
    missing: Annotated[
        list[str] | None,
        Option(help="Text that means a missing value, besides the empty one; may be repeated."),
    ] = None,
    rare: Annotated[int, Option(min=1, help="A value in fewer rows than this is rare.")] = 5,
    redundant: Annotated[
        float,
        Option(
            min=0,
            max=1,
            help="Adjusted mutual information from which two features are redundant.",
        ),
    ] = 0.8,
    tokens: Annotated[
        int, Option(min=0, help="Most frequent tokens of a list column to rank as features.")
    ] = 20,
    replicates: Annotated[
        int, Option(min=1, help="Number of permutations for the score 'randomised'.")
    ] = 10,
    crosses: Annotated[
        int, Option(min=0, help="Number of the best crosses to declare in the narrowed schema.")
    ] = 0,
    seed: Annotated[int, Option(help="Seed of the permutations and random columns.")] = 0,
    safe_csv: SafeCsv = False,
    no_report: Annotated[bool, Option("--no-report", help="Write no report.")] = False,
    force: Force = False,
    json: Json = False,
    **options: Unpack[DataOptions],
) -> None:
    """Rank features and crosses by how well they predict the label.

    Needs no training. The folder gets the ranking, a report, and a schema.toml narrowed to the
    features worth keeping.

    Example: ctrkit rank clicks.parquet --label click -o rank
    """
    from ctrkit import jobs

    with ProgressBar() as progress:
        ranking = jobs.rank(
            data,
            out=out,
            order=order,
            score=score,
            evaluate=evaluate,
            seconds=seconds,
            noise_controls=noise_controls,
            three_mr=three_mr,
            missing=("", *(missing or [])),
            rare=rare,
            redundant=redundant,
            tokens=tokens,
            replicates=replicates,
            crosses=crosses,
            seed=seed,
            report=not no_report,
            safe_csv=safe_csv,
            force=force,
            progress=progress,
            **options,
        )
    for warning in ranking.warnings:
        warn(warning)
    result = {
        "folder": out,
        "report": None if no_report else out / "report.html",
        "features": [row.to_json() for row in ranking.features],
        "facts": ranking.facts.to_json(),
        "kept": ranking.kept,
        "warnings": ranking.warnings,
    }
    show(result, _text(ranking, out, report=not no_report), as_json=json)


def _text(ranking: Ranking, folder: Path, *, report: bool) -> Iterator[Table | str]:
    columns = {
        "rank": "",
        "name": "",
        "score": ".3g",
        "adj": ".3g",
        "z": ".3g",
        "q": ".3g",
        "cardinality": "",
        "flags": "",
    }
    for rows, what in ((ranking.singles, "features"), (ranking.crosses, "crosses")):
        if rows:
            shown = [row.to_json() for row in rows[:SHOWN]]
            yield Table(columns, [[row[name] for name in columns] for row in shown])
        if len(rows) > SHOWN:
            yield f"... and {len(rows) - SHOWN} more {what}"
    crosses = ranking.facts.crosses
    if crosses is not None:
        yield (
            f"{crosses.pairs:,} pairs: {crosses.screened:,} screened, "
            f"{crosses.evaluated:,} evaluated, {crosses.not_screened:,} not screened"
        )
    yield f"ranking {folder / 'rank.parquet'}, .csv, .json"
    yield f"schema  {folder / 'schema.toml'}  (keeps {len(ranking.kept) or 'all'} fields)"
    if report:
        yield f"report  {folder / 'report.html'}"
