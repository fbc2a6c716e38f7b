"""Log loss saved: the default score."""

from __future__ import annotations

from ctrkit.rank.scores.base import CountScore
from ctrkit.rank.statistics import Information
from ctrkit.registry import register


@register("score", "gain")
class Gain(CountScore):
    """Log loss saved per row by a shrunk rate per value; of a cross, beyond an additive model."""

    def read(self, gain: float | None, information: Information) -> float | None:
        """Return the score."""
        return gain
