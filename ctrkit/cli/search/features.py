"""``ctrkit search features``: which feature values earn an embedding row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Unpack

from typer import Option

from ctrkit.cli.options import DataOrConfig, Json, OutFolder, Seeds, TrainOptions
from ctrkit.cli.printing import Table, show
from ctrkit.cli.progress import ProgressBar
from ctrkit.cli.search.results import comparison, files_of, megabytes, result_of

if TYPE_CHECKING:
    from ctrkit.search.base import Search


def features(
    data: DataOrConfig = None,
    out: OutFolder = Path("search"),
    target_ratio: Annotated[
        list[float] | None,
        Option(help="Share of the feature values to keep, in place of a penalty; may be repeated."),
    ] = None,
    seeds: Seeds = 1,
    controls: Annotated[
        str,
        Option(
            help="Models to compare with. default: all values, and a frequency cut-off; "
            "frequency: that cut-off alone; all: also values chosen at random; none."
        ),
    ] = "default",
    json: Json = False,
    **options: Unpack[TrainOptions],
) -> None:
    """Select the feature values worth keeping (OptFS).

    Learns a gate for each value, drops the values that do not help, and trains the smaller model.
    Re-run the same command to resume.

    Example: ctrkit search features clicks.parquet --label click -o search
    """
    from ctrkit import jobs

    with ProgressBar() as progress:
        search = jobs.search_features(
            data,
            out=out,
            target_ratio=tuple(target_ratio or ()),
            seeds=seeds,
            controls=controls,
            progress=progress,
            **options,
        )
    show(result_of(search), _text(search), as_json=json)


def _text(search: Search) -> Iterator[Table | str]:
    yield comparison(
        search,
        "values",
        {"optfs": "the search"},
        {"kept": ".1%", "traffic": ".1%", "parameters": ",", "MB": ",.2f"},
        lambda row: [row["ratio"], row["traffic"], row["parameters"], megabytes(row["bytes"])],
    )
    winner, tried = search.record["winner"], len(search.record["candidates"])
    yield f"search  {search.folder}  ({winner} of {tried} tried)"
    yield from files_of(search)
