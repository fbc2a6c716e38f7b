"""Columns with one value."""

from __future__ import annotations

from typing import ClassVar

from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import Drops, Flag
from ctrkit.rank.joint import list_names
from ctrkit.rank.result import Evidence
from ctrkit.rank.statistics import Scorer
from ctrkit.rank.tables import Table
from ctrkit.registry import register


@register("flag", "constant")
class Constant(Flag):
    """One value in every row; missing counts as a value."""

    drops: ClassVar[Drops] = "always"

    def of_column(self, feature: Feature, scorer: Scorer) -> Evidence | None:
        """Return the value."""
        shape = feature.shape
        if shape.cardinality + (shape.coverage < 1) > 1:
            return None
        return {"why": f"its only value is {_only_value(feature.table)}"}


def _only_value(table: Table) -> str:
    if not len(table.counts):
        return "missing"
    if table.token is not None:
        return repr(table.token)
    if table.keys is None:
        cells = table.cells
        return "one number" if cells is None or not len(cells.value) else f"{cells.value[0]:.4g}"
    key = str(table.keys[0])
    return repr(list_names(key) if table.field.kind == "multi" else key)
