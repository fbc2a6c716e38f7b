"""Columns that are not logged."""

from __future__ import annotations

from typing import ClassVar

from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import Drops, Flag
from ctrkit.rank.result import Evidence
from ctrkit.rank.statistics import Scorer
from ctrkit.registry import register

ABSENT = 0.01  # coverage of a third in which the column is not logged
PRESENT = 0.5  # coverage of a third in which it is


@register("flag", "broken")
class Broken(Flag):
    """All values are missing, or nearly all of one third of the rows."""

    drops: ClassVar[Drops] = "always"

    def of_column(self, feature: Feature, scorer: Scorer) -> Evidence | None:
        """Return the reason, and the coverage by third where it changes."""
        if feature.by_third is not None:
            covered = [c for c in feature.by_third.coverage if c is not None]
            if covered and min(covered) < ABSENT and max(covered) > PRESENT:
                return {"why": "it is logged in a part of the rows only", "coverage": covered}
        if feature.shape.cardinality == 0:
            return {"why": "every value is missing"}
        return None
