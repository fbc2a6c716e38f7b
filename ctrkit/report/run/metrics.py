"""Metrics of the validation and test splits, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ctrkit.registry import registry
from ctrkit.report.numbers import DASH
from ctrkit.report.run.files import RunFiles
from ctrkit.report.summary import Table

COLUMNS = (*registry.names("metric"), "group_auc")
NOTE = (
    "In brackets: 95 % intervals. logloss: mean log loss in nats; ne: normalized entropy, log loss "
    "divided by the entropy of the base rate; calibration: predicted positives divided by observed "
    "ones; ece: expected calibration error."
)


def metrics_table(run: RunFiles) -> Iterator[Table]:
    """Yield the table of metrics, a row per split."""
    yield table_of(run.record.metrics, first="split")


def table_of(metrics: Mapping[str, Mapping[str, Any]], first: str = "") -> Table:
    """Return a table of metrics.

    Args:
        metrics: Name of each row -> its metrics.
        first: Name of the column of names; empty: no such column.
    """
    names = [n for n in COLUMNS if any(m.get(n) is not None for m in metrics.values())]
    rows = [
        [*([name] if first else []), f"{m['rows']:,}", *(_with_interval(m, n) for n in names)]
        for name, m in metrics.items()
    ]
    return Table("Metrics", [*([first] if first else []), "rows", *names], rows, NOTE)


def _with_interval(metrics: Mapping[str, Any], name: str) -> str:
    value = metrics.get(name)
    if value is None or math.isnan(value):
        return DASH
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    return f"{value:.5f}" + (f" [{low:.5f}, {high:.5f}]" if low is not None else "")
