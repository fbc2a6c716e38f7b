"""The table of metrics that training and evaluation print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctrkit.cli.printing import Table

COLUMNS = {
    "rows": ",",
    "auc": ".5f",
    "logloss": ".5f",
    "ne": ".5f",
    "calibration": ".5f",
    "ece": ".5f",
    "group_auc": ".5f",
}
"""Metric -> format."""


def metrics_table(metrics: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a row per split; a metric that no split has is left out."""
    columns = {n: f for n, f in COLUMNS.items() if any(n in row for row in metrics.values())}
    rows = [[split, *(row.get(name) for name in columns)] for split, row in metrics.items()]
    return Table({"": "", **columns}, rows)
