"""What a ranking score is: a number per feature, higher for features that matter more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ctrkit.data.read.sources import Source
from ctrkit.rank.feature import Feature
from ctrkit.rank.statistics import Information, Scorer
from ctrkit.schema import Schema


@dataclass(frozen=True)
class ScoreContext:
    """What a score may need beyond the features.

    Attributes:
        source: Rows.
        schema: Schema of the rows; names the label.
        scorer: Scorer against the label.
        replicates: Number of permutations, where a score draws any.
        seed: Seed of what a score draws.
    """

    source: Source
    schema: Schema
    scorer: Scorer
    replicates: int
    seed: int


class RankingScore(ABC):
    """A score. Register a subclass by ``@register("score", name)``.

    Attributes:
        ranks_crosses: Whether crosses may be ranked with it.
        any_order: Whether the order of the rows does not matter.
    """

    ranks_crosses: ClassVar[bool] = True
    any_order: ClassVar[bool] = True

    @abstractmethod
    def of_features(self, features: Sequence[Feature], context: ScoreContext) -> list[float | None]:
        """Return the score of each feature; None: not computed.

        Raises:
            DataError: The score cannot be computed for these rows.
        """

    def of_cross(self, gain: float | None, information: Information) -> float | None:
        """Return the score of a cross; None: not computed, so that synergy sorts crosses.

        Args:
            gain: Gain over an additive model of the members; None: not evaluated.
            information: Mutual information of the joint variable with the label.
        """
        return None


class CountScore(RankingScore):
    """A score that is a function of the statistics that every feature and cross has."""

    @abstractmethod
    def read(self, gain: float | None, information: Information) -> float | None:
        """Return the score."""

    def of_features(self, features: Sequence[Feature], context: ScoreContext) -> list[float | None]:
        """Return the score of each feature."""
        return [self.read(f.statistics.gain, f.statistics.information) for f in features]

    def of_cross(self, gain: float | None, information: Information) -> float | None:
        """Return the score of a cross."""
        return self.read(gain, information)
