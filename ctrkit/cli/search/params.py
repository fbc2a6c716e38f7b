"""``ctrkit search params``: hyper-parameters by Optuna."""

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
from ctrkit.cli.search.results import comparison, files_of, megabytes, result_of
from ctrkit.components import STATIC

if TYPE_CHECKING:
    from ctrkit.search.base import Search

SAMPLERS = [entry.name for entry in STATIC if entry.kind == "sampler"]
PRUNERS = [entry.name for entry in STATIC if entry.kind == "pruner"]


def params(
    data: DataOrConfig = None,
    out: OutFolder = Path("search"),
    trials: Trials = None,
    timeout: Annotated[
        float | None,
        Option(help="Seconds, summed over resumed runs, after which no trial starts."),
    ] = None,
    objective: Annotated[
        list[str] | None,
        Option(
            metavar="NAME,...",
            callback=split_commas,
            help="logloss (default), auc, bytes or latency; several give a Pareto front.",
        ),
    ] = None,
    sampler: Annotated[str | None, Option(help=f"{', '.join(SAMPLERS)}.")] = None,
    pruner: Annotated[str | None, Option(help=f"{', '.join(PRUNERS)}.")] = None,
    over: Annotated[
        str | None,
        Option(
            help="What to tune. params: model and training; features or interactions: the "
            "hyper-parameters of that search."
        ),
    ] = None,
    interactions: Annotated[
        list[str] | None,
        Option(
            metavar="NAME,...",
            callback=split_commas,
            help="Interaction layers to switch on and off.",
        ),
    ] = None,
    workers: Workers = None,
    storage: Annotated[
        str | None,
        Option(
            help="Optuna database, such as postgresql+psycopg://...; default: a file in the "
            "search folder."
        ),
    ] = None,
    seeds: Seeds = 1,
    controls: Annotated[
        str,
        Option(
            help="Models to compare with. default: the hyper-parameters before the search; none."
        ),
    ] = "default",
    json: Json = False,
    **options: Unpack[TrainOptions],
) -> None:
    """Tune hyper-parameters with Optuna.

    Prunes unpromising trials mid-training, and trains the best configuration. Re-run the same
    command to resume; several machines with one --storage share the trials.

    Example: ctrkit search params clicks.parquet --label click --trials 40
    """
    from ctrkit import jobs

    with ProgressBar() as progress:
        search = jobs.search_params(
            data,
            out=out,
            trials=trials,
            timeout=timeout,
            objectives=tuple(objective or ()),
            sampler=sampler,
            pruner=pruner,
            over=over,
            interactions=tuple(interactions or ()),
            jobs=workers,
            storage=storage,
            seeds=seeds,
            controls=controls,
            progress=progress,
            **options,
        )
    show(result_of(search), _text(search), as_json=json)


def _text(search: Search) -> Iterator[Table | str]:
    yield comparison(
        search,
        "hyper-parameters",
        {"before": "before the search"},
        {"parameters": ",", "MB": ",.2f"},
        lambda row: [row["parameters"], megabytes(row["bytes"])],
    )
    counts, winner = search.record["counts"], search.record["winner"]
    for member in search.record["front"] if len(winner["values"]) > 1 else []:
        values = ", ".join(f"{name} {value:,.6g}" for name, value in member["values"].items())
        yield f"pareto  trial {member['trial']}: {values}"
    yield (
        f"search  {search.folder}  (trial {winner['trial']}; {counts['complete']} complete, "
        f"{counts['pruned']} pruned, {counts['fail']} failed)"
    )
    yield from files_of(search)
