"""Crosses of two features: screened by synergy, the best evaluated, all ranked."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ctrkit.rank.additive import gain_over_additive, log_odds
from ctrkit.rank.coded import Pair, cells_of, parallel
from ctrkit.rank.coding import CodedFeatures
from ctrkit.rank.flags.base import all_flags
from ctrkit.rank.flags.noise import NOISE_Q
from ctrkit.rank.null import Ints, over_classes
from ctrkit.rank.options import RankOptions
from ctrkit.rank.result import CrossCounts, RankRow
from ctrkit.rank.scores.base import RankingScore
from ctrkit.rank.screen import Joint, screen
from ctrkit.rank.statistics import Scorer, benjamini_hochberg

LEAST_EVALUATED = 50
EVALUATED_SHARE = 1 / 20
LEAST_EVIDENCE = 3.0  # nats over all rows, beyond the log of the number of crosses
LEAST_SYNERGY = 2.0  # standard deviations
_BATCH = 16
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class CrossRanker:
    """Ranks the crosses of features that were read as codes.

    Attributes:
        compared: Features with their codes.
        scorer: Scorer against the label.
        score: What crosses are sorted by.
        options: Options of the ranking.
        progress: Called with the stage, the number done, and the total.
    """

    compared: CodedFeatures
    scorer: Scorer
    score: RankingScore
    options: RankOptions
    progress: Progress

    def rank(self) -> tuple[list[RankRow], CrossCounts]:
        """Return the rows of all screened crosses by rank, and how far each stage got."""
        pairs = self._pairs()
        clock = _TimeLimit(self.options.seconds)

        def advance(stage: str, done: int, total: int) -> bool:
            self.progress(stage, done, total)
            return not clock.over

        adjusted = [f.statistics.information.adj for f in self.compared.features]
        joints = screen(
            self.compared.coded,
            adjusted,
            pairs,
            self.scorer,
            lambda done: advance("screening crosses", done, len(pairs)),
        )
        joints.sort(key=lambda j: (-j.synergy_z, j.pair))
        most = self._most(len(pairs), len(joints))
        gains: list[float] = []
        for start in range(0, most, _BATCH):
            batch = joints[start : min(start + _BATCH, most)]
            gains += parallel(self._gain, [j.pair for j in batch])
            if not advance("evaluating crosses", len(gains), most):
                break
        left = len(pairs) - len(joints)
        counts = CrossCounts(len(pairs), len(joints), len(gains), left)
        return self._rows(joints, gains, counts), counts

    def _pairs(self) -> list[Pair]:
        """Return the pairs to screen, those with the smallest tables first."""
        flags, features = all_flags(), self.compared.features
        usable = [i for i, f in enumerate(features) if all(flags[n].crossed for n in f.flags)]
        pairs = list(combinations(usable, 2))
        pairs.sort(key=lambda p: features[p[0]].table.size * features[p[1]].table.size)
        return pairs

    def _most(self, pairs: int, screened: int) -> int:
        most = self.options.evaluate
        if most is None:
            most = max(LEAST_EVALUATED, math.ceil(pairs * EVALUATED_SHARE))
        return min(most, screened)

    def _gain(self, pair: Pair) -> float:
        """Return the gain over additive: of the second class, or the largest of one against all."""
        a, b = (self.compared.features[i] for i in pair)
        null = self.scorer.null
        key, counts = cells_of(self.compared.coded, pair)
        classes = len(null.totals)
        gains = []
        for c in range(1 if classes == 2 else 0, classes):
            share = float(null.shares[c])
            effects = [
                log_odds(_against(f.table.code_counts, c), f.statistics.strength, share)
                for f in (a, b)
            ]
            cells = key, _against(counts, c)
            gain, _ = gain_over_additive(cells, b.table.size, effects[0], effects[1], null.rows)
            gains.append(gain)
        return max(gains)

    def _rows(
        self, joints: Sequence[Joint], gains: Sequence[float], counts: CrossCounts
    ) -> list[RankRow]:
        q = benjamini_hochberg([j.information.p for j in joints])
        missing = [None] * (len(joints) - len(gains))
        rows = [
            self._row(j, of_joint, gain, counts.pairs)
            for j, of_joint, gain in zip(joints, q, [*gains, *missing], strict=True)
        ]
        rows.sort(key=_order)
        return [replace(row, rank=rank) for rank, row in enumerate(rows, 1)]

    def _row(self, joint: Joint, q: float, gain: float | None, pairs: int) -> RankRow:
        a, b = (self.compared.features[i] for i in joint.pair)
        information, interaction = joint.information, None
        if information.sd > 0 and information.adj >= 2 * information.sd:
            interaction = min(1.0, max(-1.0, joint.synergy / information.adj))
        if gain is None:
            noise = q > NOISE_Q or joint.synergy_z < LEAST_SYNERGY
        else:  # beyond what the best of so many crosses reaches by chance
            noise = gain * self.scorer.null.rows < LEAST_EVIDENCE + math.log(pairs)
        return RankRow(
            rank=0,
            name=f"{a.name} x {b.name}",
            members=(a.name, b.name),
            order=2,
            score=self.score.of_cross(gain, information),
            gain=gain,
            **vars(information),
            q=q,
            synergy=joint.synergy,
            interaction=interaction,
            cardinality=joint.cells,
            flags=("noise",) if noise else (),
        )


class _TimeLimit:
    def __init__(self, seconds: float | None) -> None:
        self._end = math.inf if seconds is None else time.perf_counter() + seconds

    @property
    def over(self) -> bool:
        return time.perf_counter() >= self._end


def _against(counts: Ints, c: int) -> Ints:
    """Return the counts of all other classes, and of one."""
    return np.stack([over_classes(counts) - counts[:, c], counts[:, c]], axis=1)


def _order(row: RankRow) -> tuple[float, float, str]:
    """Sort by score, crosses without a score by synergy, ties by name."""
    if row.score is not None:
        return -row.score, 0.0, row.name
    return math.inf, -row.synergy if row.synergy is not None else math.inf, row.name
