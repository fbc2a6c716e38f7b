"""Plug-in mutual information, without any adjustment."""

from __future__ import annotations

from ctrkit.rank.scores.base import CountScore
from ctrkit.rank.statistics import Information
from ctrkit.registry import register


@register("score", "mi")
class Plain(CountScore):
    """Mutual information in nats; grows with the number of values, for comparison only."""

    def read(self, gain: float | None, information: Information) -> float | None:
        """Return the score."""
        return information.mi
