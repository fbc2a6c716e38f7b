"""``ctrkit search pipeline``: all searches, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Unpack

from typer import Option

from ctrkit.cli.options import (
    DataOrConfig,
    Json,
    OutFolder,
    Seeds,
    TrainOptions,
    Trials,
    Workers,
    split_commas,
)
from ctrkit.cli.printing import Table, show
from ctrkit.cli.progress import ProgressBar
from ctrkit.cli.search.results import files_of, megabytes, result_of

if TYPE_CHECKING:
    from ctrkit.search.base import Search


def pipeline(
    data: DataOrConfig = None,
    out: OutFolder = Path("search"),
    trials: Trials = None,
    workers: Workers = None,
    skip: Annotated[
        list[str] | None,
        Option(
            metavar="STEP,...",
            callback=split_commas,
            help="Steps to skip: rank, features, interactions, params.",
        ),
    ] = None,
    seeds: Seeds = 1,
    controls: Annotated[
        str,
        Option(
            help="Models to compare with. default: the plain model, tuned with as many trials; "
            "none."
        ),
    ] = "default",
    json: Json = False,
    **options: Unpack[TrainOptions],
) -> None:
    """Rank, select values, choose interactions, tune and train.

    Reports what each step gains, and leaves out a step after which validation is significantly
    worse (95 % CI). Re-run the same command to resume.

    Example: ctrkit search pipeline clicks.parquet --label click --trials 20
    """
    from ctrkit import jobs

    with ProgressBar() as progress:
        search = jobs.search_pipeline(
            data,
            out=out,
            trials=trials,
            jobs=workers,
            skip=tuple(skip or ()),
            seeds=seeds,
            controls=controls,
            progress=progress,
            **options,
        )
    show(result_of(search), _text(search), as_json=json)


def _text(search: Search) -> Iterator[Table | str]:
    columns = {
        "step": "",
        "decision": "",
        "test auc": ".5f",
        "test logloss": ".5f",
        "MB": ",.2f",
        "models": "",
        "seconds": ",.0f",
    }
    rows = [
        (
            row["step"],
            row["said"] + ("" if row.get("taken", True) else ": not used"),
            row["test"]["auc"],
            row["test"]["logloss"],
            megabytes(row["bytes"]),
            row["models"],
            row["seconds"],
        )
        for row in search.record["steps"]
    ]
    yield Table(columns, rows)
    yield from files_of(search)
