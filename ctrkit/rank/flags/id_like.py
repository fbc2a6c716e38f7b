"""Columns with nearly one value per row."""

from __future__ import annotations

from typing import ClassVar

from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import Flag
from ctrkit.rank.result import Evidence
from ctrkit.rank.statistics import Scorer
from ctrkit.registry import register

UNIQUE = 0.9  # distinct values per row of an id
FEW_ROWS = 100  # below, unique values are no evidence


@register("flag", "id_like")
class IdLike(Flag):
    """A categorical field or list with nearly as many values as rows."""

    phrase: ClassVar[str] = "id-like"

    def of_column(self, feature: Feature, scorer: Scorer) -> Evidence | None:
        """Return the distinct values and the rows that are not missing."""
        if not is_id(feature, scorer):
            return None
        rows = round(feature.shape.coverage * scorer.null.rows)
        return {"distinct": feature.shape.cardinality, "rows": rows}

    def message(self, evidence: Evidence) -> str:
        """Return the numbers of values and of rows."""
        return f"{evidence['distinct']:,} distinct values in {evidence['rows']:,} rows"


def is_id(feature: Feature, scorer: Scorer) -> bool:
    """Return whether a feature has nearly one value per row."""
    if feature.is_token or feature.table.keys is None:
        return False
    known = feature.shape.coverage * scorer.null.rows
    return known >= FEW_ROWS and feature.shape.cardinality >= UNIQUE * known
