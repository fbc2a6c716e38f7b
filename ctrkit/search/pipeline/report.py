"""The report of a pipeline of searches: what each step improved."""

from __future__ import annotations

from collections.abc import Sequence

from ctrkit.report.charts import Scatter
from ctrkit.report.numbers import average, difference, mean_and_spread
from ctrkit.report.summary import Summary, Table
from ctrkit.search.pipeline.outcome import BEFORE, OURS, PLAIN, PipelineRecord, StepOutcome

_NAMES = {BEFORE: "model as configured", PLAIN: "plain model, tuned"}


def summarise_pipeline(record: PipelineRecord) -> Summary:
    """Summarise a pipeline of searches.

    Args:
        record: The pipeline's record.
    """
    steps, data = record.steps, record.to_json()
    own = [row for row in steps if row.step not in _NAMES]
    used = [row.step for row in own if row.used]
    return Summary(
        title=f"{record.model}: {' → '.join(used)}",
        facts={
            "models trained": str(sum(r.models for r in own)),
            "time": f"{sum(r.seconds for r in own):,.0f} s",
            "config": record.config_sha256[:12],
        },
        warnings=list(record.warnings),
        tables=[_steps(record), _comparison(record)],
        curves=[_sizes(steps)],
        data={k: data[k] for k in ("steps", "rows", "paired", "against_before")},
    )


def _steps(record: PipelineRecord) -> Table:
    rows = []
    for row in record.steps:
        test = record.against_before.get(row.step)
        decision = row.said if row.used else f"{row.said}: not used"
        rows.append(
            [
                _NAMES.get(row.step, row.step),
                decision,
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
        "decision",
        "validation log loss",
        "test log loss",
        "difference, 95 %",
        "test AUC",
        "MB",
        "models",
        "seconds",
    ]
    note = (
        "Each step starts from the result of the step before. A result is not used if validation "
        "is significantly better (95 % CI) without it. difference: log loss of the step minus that "
        "of the model as configured, on the same test rows; negative: the step is better."
    )
    if any(row.step == PLAIN for row in record.steps):
        note += " The plain model was tuned with as many trials as the steps trained models."
    return Table("Steps", columns, rows, note)


def _comparison(record: PipelineRecord) -> Table:
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
        "difference: log loss of the pipeline minus that of the plain model on the same test "
        "rows; negative: the pipeline is better. The 95 % interval is over rows with one seed, "
        "over seeds with several. All seeds train the result of one search."
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
    return Table("Comparison with the plain model", columns, rows, note)


def _sizes(steps: Sequence[StepOutcome]) -> Scatter:
    points = [
        [r.bytes / 1e6, r.test.logloss, _NAMES.get(r.step, r.step)]
        for r in steps
        if r.step != "train"
    ]
    return Scatter("Size against log loss", "MB", "test log loss", points, linear=True)
