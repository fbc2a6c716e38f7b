"""Mutual information, adjusted for chance."""

from __future__ import annotations

from ctrkit.rank.scores.base import CountScore
from ctrkit.rank.statistics import Information
from ctrkit.registry import register


@register("score", "adj")
class Adjusted(CountScore):
    """Mutual information minus its expectation under permuted labels, in nats."""

    def read(self, gain: float | None, information: Information) -> float | None:
        """Return the score."""
        return information.adj
