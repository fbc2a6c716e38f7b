"""The table of metrics that training and evaluation print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctrkit.cli.printing import Table


def metrics_table(metrics: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a row per split; a metric that no split has is left out."""
    from ctrkit.registry import registry  # not when the help is printed: it imports pydantic

    formats = {"rows": ",", **dict.fromkeys((*registry.names("metric"), "group_auc"), ".5f")}
    columns = {n: f for n, f in formats.items() if any(n in row for row in metrics.values())}
    rows = [[split, *(row.get(name) for name in columns)] for split, row in metrics.items()]
    return Table({"": "", **columns}, rows)
