"""Features whose values are mostly rare."""

from __future__ import annotations

from typing import ClassVar

from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import Flag
from ctrkit.rank.flags.id_like import is_id
from ctrkit.rank.result import Evidence
from ctrkit.rank.statistics import Scorer
from ctrkit.registry import register

RARE = 0.5  # share of the rows with a rare value


@register("flag", "rare")
class Rare(Flag):
    """By the share of the rows with a rare value; ids are flagged as such instead."""

    warns: ClassVar[bool] = False

    def of_column(self, feature: Feature, scorer: Scorer) -> Evidence | None:
        """Return the share of the rows."""
        if feature.shape.rare_share < RARE or is_id(feature, scorer):
            return None
        return {"share": feature.shape.rare_share}

    def message(self, evidence: Evidence) -> str:
        """Return the share of the rows."""
        return f"{evidence['share']:.1%} of the rows have a rare value"
