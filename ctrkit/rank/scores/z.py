"""Adjusted mutual information in standard deviations."""

from __future__ import annotations

from ctrkit.rank.scores.base import CountScore
from ctrkit.rank.statistics import Information
from ctrkit.registry import register


@register("score", "z")
class Significance(CountScore):
    """``adj`` divided by the standard deviation of ``mi`` under permuted labels."""

    def read(self, gain: float | None, information: Information) -> float | None:
        """Return the score."""
        return information.z
