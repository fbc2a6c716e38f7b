"""The screen of crosses: the joint variable of every pair against the label.

Source: ``docs/methods.md``, section OutRank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ctrkit.rank.coded import Coded, Pair, cells_of, parallel
from ctrkit.rank.spectrum import Spectrum
from ctrkit.rank.statistics import Information, Scorer

_BATCH = 64


@dataclass(frozen=True)
class Joint:
    """The joint variable of a pair against the label, and beyond its members.

    Attributes:
        pair: Positions of the members.
        information: Mutual information of the joint variable with the label.
        synergy: ``adj(AB) - adj(A) - adj(B)``.
        cells: Joint values that occur.
    """

    pair: Pair
    information: Information
    synergy: float
    cells: int

    @property
    def synergy_z(self) -> float:
        """Synergy in standard deviations of the joint score: what the screen sorts by."""
        sd = self.information.sd
        return self.synergy / sd if sd > 0 else -np.inf


def screen(
    coded: Coded,
    adjusted: Sequence[float],
    pairs: Sequence[Pair],
    scorer: Scorer,
    advance: Callable[[int], bool] = lambda done: True,
) -> list[Joint]:
    """Score the joint variable of each pair. Memory does not grow with the number of pairs.

    Args:
        coded: Rows.
        adjusted: ``adj`` of each feature.
        pairs: Positions of the members.
        scorer: Scorer against the label.
        advance: Called with the number of pairs done; False ends the screen there.
    """
    joints: list[Joint] = []

    def spectrum(pair: Pair) -> Spectrum:
        return Spectrum.of(cells_of(coded, pair)[1])

    for start in range(0, len(pairs), _BATCH):
        batch = pairs[start : start + _BATCH]
        for (a, b), s in zip(batch, parallel(spectrum, batch), strict=True):
            information = scorer.information(s)
            synergy = information.adj - adjusted[a] - adjusted[b]
            joints.append(Joint((a, b), information, synergy, s.values))
        if not advance(len(joints)):
            break
    return joints
