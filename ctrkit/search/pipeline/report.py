"""The report of a pipeline of searches: what each step improved."""

from __future__ import annotations

from collections.abc import Sequence

from ctrkit.report.charts import Scatter
from ctrkit.report.numbers import average, difference, mean_and_spread
from ctrkit.report.summary import Summary, Table
from ctrkit.search.pipeline.outcome import BEFORE, OURS, PLAIN, PipelineRecord, StepOutcome

_NAMES = {BEFORE: "the model as given", PLAIN: "plain model, searched"}


def summarise_pipeline(record: PipelineRecord) -> Summary:
    """Summarise a pipeline's folder.

    Args:
        record: Its ``record.json``.
    """
    steps, data = record.steps, record.to_json()
    tried = [row for row in steps if row.step not in _NAMES]
    taken = [row.step for row in tried if row.used]
    return Summary(
        title=f"{record.model}: {' → '.join(taken)}",
        facts={
            "models trained": str(sum(r.models for r in tried)),
            "time": f"{sum(r.seconds for r in tried):,.0f} s",
            "config": record.config_sha256[:12],
        },
        warnings=list(record.warnings),
        tables=[_bought(record), _end(record)],
        curves=[_sizes(steps)],
        data={k: data[k] for k in ("steps", "rows", "paired", "against_before")},
    )


def _bought(record: PipelineRecord) -> Table:
    rows = []
    for row in record.steps:
        test = record.against_before.get(row.step)
        said = row.said if row.used else f"{row.said}: not taken"
        rows.append(
            [
                _NAMES.get(row.step, row.step),
                said,
                f"{row.validation.logloss:.5f}",
                f"{row.test.logloss:.5f}",
                difference([test]) if test else "",
                f"{row.test.auc:.5f}",
                f"{row.bytes / 1e6:,.2f}",
                str(row.models),
                f"{row.seconds:,.0f}",
            ]
        )
    columns = [
        "step",
        "decided",
        "validation log loss",
        "test log loss",
        "against as given, 95 %",
        "test AUC",
        "MB",
        "models",
        "seconds",
    ]
    note = (
        "Each step starts from what the last one left; where validation surely (95 %) prefers the "
        "model before a step, it is not taken. The difference is the step's log loss less that of "
        "the model as given, on the same test rows: below zero the step is better."
    )
    if any(row.step == PLAIN for row in record.steps):
        note += " The plain model got as many trials as the steps trained models."
    return Table("What each step bought", columns, rows, note)


def _end(record: PipelineRecord) -> Table:
    rows = []
    for name, members in record.rows.items():
        tests = record.paired.get(name)
        rows.append(
            [
                "the pipeline" if name == OURS else "the plain model",
                str(len(members)),
                mean_and_spread([m.test.auc for m in members]),
                mean_and_spread([m.test.logloss for m in members]),
                difference(tests) if tests else "",
                f"{average(m.parameters for m in members):,.0f}",
                f"{average(m.bytes for m in members) / 1e6:,.2f}",
            ]
        )
    note = (
        "The difference is the pipeline's log loss less the plain model's, on the same test rows. "
        "One seed: the interval is over rows; several: over seeds. All seeds train the outcome of "
        "one search."
    )
    columns = [
        "model",
        "seeds",
        "test AUC",
        "test log loss",
        "difference, 95 %",
        "parameters",
        "MB",
    ]
    return Table("In the end", columns, rows, note)


def _sizes(steps: Sequence[StepOutcome]) -> Scatter:
    points = [
        [r.bytes / 1e6, r.test.logloss, _NAMES.get(r.step, r.step)]
        for r in steps
        if r.step != "train"
    ]
    return Scatter("Size against log loss", "MB", "test log loss", points, linear=True)
