"""What a search for feature values leaves, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ctrkit.search.features.config import FeatureSearchConfig
from ctrkit.search.outcome import Outcome, SearchRecord

OURS = "optfs"
"""Name of the search's own rows in the record."""
ALL_VALUES = "all values"
BY_FREQUENCY = "by frequency"
AT_RANDOM = "at random"


@dataclass(frozen=True, kw_only=True)
class FeatureOutcome(Outcome):
    """A model over some of the feature values.

    Attributes:
        name: The candidate's or control's name.
        fields: Number of fields that have a kept value.
        train_examples_s: Training rows per second.
        values: Number of feature values in the training rows.
        kept: How many of them are kept.
        ratio: ``kept / values``.
        traffic: Share of the training occurrences whose value is kept.
        penalty: Last penalty of the search; None for a control.
        search_s: Seconds of the search; None for a control.
    """

    name: str
    fields: int
    train_examples_s: float
    values: int
    kept: int
    ratio: float
    traffic: float
    penalty: float | None = None
    search_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class FeaturesRecord(SearchRecord):
    """``record.json`` of a search for feature values.

    Attributes:
        winner: Name of the candidate with the best validation log loss.
        search: ``[search]``.
        candidates: What was tried with the first seed.
        rows: The winner (``optfs``) and its controls, one for each seed.
        fields_dropped: Fields without a kept value.
    """

    kind: ClassVar[str] = "features"
    winner: str
    search: FeatureSearchConfig
    candidates: Sequence[FeatureOutcome]
    rows: Mapping[str, Sequence[FeatureOutcome]]
    fields_dropped: Sequence[str]

    @property
    def decision(self) -> str:
        """How many values are kept."""
        best = self.rows[OURS][0]
        return f"kept {best.kept:,} of {best.values:,} values"

    @property
    def models(self) -> int:
        """Two for each candidate: its search and its retraining."""
        return 2 * len(self.candidates)

    @property
    def required(self) -> bool:
        """Whether the user named a size."""
        return bool({"target_ratio", "penalty", "preset"} & self.search.model_fields_set)
