"""Features that are not distinguishable from noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import Drops, Flag
from ctrkit.rank.statistics import benjamini_hochberg
from ctrkit.registry import register

NOISE_Q = 0.05
"""False discovery rate above which a feature or cross is noise."""


@register("flag", "noise")
class Noise(Flag):
    """By false discovery rate and the best noise control; set by :func:`flag_noise`."""

    warns: ClassVar[bool] = False
    drops: ClassVar[Drops] = "alone"


def flag_noise(features: Sequence[Feature], best_control: float | None) -> None:
    """Set ``q`` of every feature, and flag the noise among them.

    Args:
        features: Features with their scores.
        best_control: Largest score of a noise control; None: none was planted.
    """
    p = [f.statistics.information.p for f in features]
    for f, q in zip(features, benjamini_hochberg(p), strict=True):
        f.q = q
        below = best_control is not None and (f.score is None or f.score <= best_control)
        if q > NOISE_Q or below:
            f.flags["noise"] = {"q": q, "best_control": best_control}
