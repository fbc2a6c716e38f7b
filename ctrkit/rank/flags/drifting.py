"""Features whose values change over time."""

from __future__ import annotations

import math
from typing import ClassVar

from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import Flag
from ctrkit.rank.result import Evidence
from ctrkit.rank.statistics import Scorer
from ctrkit.registry import register

DRIFT = math.log(2) / 2
"""Nats between the first and the last part: half of the rows hold values that the other part lacks.

A smaller drift is a number in the ranking (column ``drift``): seasons and calendars move most logs.
"""


@register("flag", "drifting")
class Drifting(Flag):
    """By the divergence between the first and the last part of the rows."""

    leaks: ClassVar[bool] = True

    def of_column(self, feature: Feature, scorer: Scorer) -> Evidence | None:
        """Return the divergence in nats."""
        if feature.drift is None or feature.drift < DRIFT:
            return None
        return {"nats": feature.drift}

    def message(self, evidence: Evidence) -> str:
        """Return the divergence."""
        return f"{evidence['nats']:.3g} nats between the first and the last part of the rows"
