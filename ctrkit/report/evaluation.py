"""The report of a run's metrics on other rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctrkit.metrics import Reliability
from ctrkit.report.run.calibration import reliability_plot
from ctrkit.report.run.metrics import table_of
from ctrkit.report.summary import Summary
from ctrkit.secrets import redact_address


def summarise_evaluation(
    title: str, source: str, metrics: Mapping[str, Any], bins: Reliability
) -> Summary:
    """Summarise the metrics of a run on some rows, with intervals and calibration.

    Args:
        title: Heading of the report.
        source: Where the rows came from.
        metrics: Metrics of the rows, as :func:`ctrkit.evaluate.evaluate_scores` returns them.
        bins: Predicted and observed rates.
    """
    return Summary(
        title=title,
        facts={"data": redact_address(source)},
        tables=[table_of({"": metrics})],
        curves=[reliability_plot("Calibration", bins)],
        data={"metrics": metrics},
    )
