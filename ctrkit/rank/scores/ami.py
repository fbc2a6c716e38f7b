"""Adjusted mutual information."""

from __future__ import annotations

from ctrkit.rank.scores.base import CountScore
from ctrkit.rank.statistics import Information
from ctrkit.registry import register


@register("score", "ami")
class AdjustedShare(CountScore):
    """``adj / (H(label) - emi)``: 0 for noise, 1 for a copy of the label."""

    def read(self, gain: float | None, information: Information) -> float | None:
        """Return the score."""
        return information.ami
