"""Columns that are a copy of the label, or nearly so."""

from __future__ import annotations

from typing import ClassVar

from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import Drops, Flag
from ctrkit.rank.result import Evidence
from ctrkit.rank.statistics import Scorer
from ctrkit.registry import register

COPY = 0.9  # adj, as a share of the label's entropy


@register("flag", "near_copy")
class NearCopy(Flag):
    """By adjusted mutual information with the label."""

    leaks: ClassVar[bool] = True
    drops: ClassVar[Drops] = "always"
    covers: ClassVar[tuple[str, ...]] = ("leaking", "one_class", "within", "target_encoded")
    crossed: ClassVar[bool] = False
    phrase: ClassVar[str] = "a near copy"

    def of_column(self, feature: Feature, scorer: Scorer) -> Evidence | None:
        """Return adj and gain as shares of the label's entropy."""
        if not is_copy(feature, scorer):
            return None
        entropy = scorer.null.entropy
        return {
            "why": "it holds nearly all information about the label",
            "adj": feature.statistics.information.adj / entropy,
            "gain": feature.statistics.gain / entropy,
        }

    def message(self, evidence: Evidence) -> str:
        """Return the reason, and the share of the label's entropy."""
        return f"{evidence['why']} ({evidence['adj']:.0%} of the label's entropy)"


def is_copy(feature: Feature, scorer: Scorer) -> bool:
    """Return whether a feature holds nearly all information about the label."""
    return feature.statistics.information.adj / scorer.null.entropy >= COPY
