"""``ctrkit evaluate``: the metrics of a run on labelled raw rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from ctrkit.cli.metrics import metrics_table
from ctrkit.cli.options import Data, Json, Run, Trust
from ctrkit.cli.printing import Table, show


def evaluate(
    run: Run,
    data: Data,
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="File to write: .json, or a report as .html or .md."),
    ] = None,
    sampling_rate: Annotated[
        float | None,
        Option(help="Share of the negatives kept in DATA; default: as in training."),
    ] = None,
    trust_plugins: Trust = False,
    json: Json = False,
) -> None:
    """Compute the metrics of a run on labelled raw rows.

    AUC and log loss come with 95 % confidence intervals.

    Example: ctrkit evaluate run tomorrow.parquet -o evaluation.html
    """
    from ctrkit import jobs

    metrics = jobs.evaluate(
        run, data, out=out, sampling_rate=sampling_rate, trust_plugins=trust_plugins
    )
    show(metrics, _text(metrics), as_json=json)


def _text(metrics: dict[str, Any]) -> Iterator[Table | str]:
    yield metrics_table({"data": metrics})
    for name in ("auc", "logloss"):
        low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
        if low is not None and high is not None:
            yield f"{name} {metrics[name]:.5f}  (95 % {low:.5f} to {high:.5f})"
