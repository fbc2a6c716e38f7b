"""``ctrkit train``: raw columns to a run folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Unpack

from ctrkit.cli.metrics import metrics_table
from ctrkit.cli.options import DataOrConfig, Json, OutFolder, TrainOptions
from ctrkit.cli.printing import show
from ctrkit.cli.progress import ProgressBar


def train(
    data: DataOrConfig = None,
    out: OutFolder = Path("run"),
    json: Json = False,
    **options: Unpack[TrainOptions],
) -> None:
    """Train a model on raw columns.

    The run folder holds the model, its encoder, its configuration and a report, and scores raw
    rows. Re-run the same command to resume an interrupted run.

    Example: ctrkit train clicks.parquet --label click --model autoint -o run
    """
    from ctrkit import jobs

    with ProgressBar() as progress:
        run = jobs.train(data, out=out, progress=progress, **options)
    report = run.folder / "report.html"
    result = {
        "folder": run.folder,
        "report": report,
        "tracked": run.tracked,
        "record": dataclasses.asdict(run.record),
    }
    text = (
        metrics_table(run.record.metrics),
        f"run     {run.folder}  ({run.record.parameters['allocated']:,} parameters)",
        f"report  {report}",
        f"tracked {run.tracked or 'no'}",
    )
    show(result, text, as_json=json)
