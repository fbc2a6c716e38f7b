"""Options of a ranking."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ctrkit.errors import ConfigError, nearest
from ctrkit.rank.tables import MISSING_TEXT
from ctrkit.registry import registry

_BOUNDS: dict[str, tuple[float, float]] = {
    "order": (1, 2),
    "evaluate": (0, math.inf),
    "seconds": (0, math.inf),
    "three_mr": (0, math.inf),
    "rare": (1, math.inf),
    "redundant": (0, 1),
    "tokens": (0, math.inf),
    "replicates": (1, math.inf),
    "seed": (0, 2**32 - 1),
}


@dataclass(frozen=True)
class RankOptions:
    """Options of a ranking.

    Attributes:
        score: Name of the score that features are sorted by.
        order: 1: features; 2: also crosses of two.
        evaluate: Crosses whose gain is computed; None: the best 5 %, at least 50.
        seconds: Time limit of the crosses; what is not reached is reported.
        noise_controls: Plant columns without meaning; features that do not beat them are noise.
        three_mr: Number of features, the best that are not noise, to put in 3MR order; 0: none.
        missing: Texts that mean a missing value, besides null.
        rare: A value is rare below this many rows.
        redundant: Adjusted mutual information from which two features are redundant.
        tokens: Tokens of a list that become 0/1 features.
        replicates: Number of permutations of the ``randomised`` score.
        seed: Seed of the ``randomised`` score.

    Raises:
        ConfigError: The score is unknown, an option is out of bounds, or two contradict each other.
    """

    score: str = "gain"
    order: int = 1
    evaluate: int | None = None
    seconds: float | None = None
    noise_controls: bool = False
    three_mr: int = 0
    missing: tuple[str, ...] = MISSING_TEXT
    rare: int = 5
    redundant: float = 0.8
    tokens: int = 20
    replicates: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        scores = registry.names("score")
        if self.score not in scores:
            hint = nearest(self.score, scores)
            raise ConfigError(f"score must be one of {', '.join(scores)}; got {self.score!r}{hint}")
        for name, value in vars(self).items():
            low, high = _BOUNDS.get(name, (-math.inf, math.inf))
            if name in _BOUNDS and value is not None and not low <= value <= high:
                bound = f"at least {low}" if high == math.inf else f"{low} to {high}"
                raise ConfigError(f"{name} must be {bound}; got {value}")
        if self.order == 2 and not registry.get("score", self.score).ranks_crosses:
            raise ConfigError(f"score {self.score!r} ranks single features; use --order 1")


DEFAULTS = RankOptions()
