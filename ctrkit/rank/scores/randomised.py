"""Mutual information adjusted by drawn permutations of the labels, for comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ctrkit.rank.feature import Feature
from ctrkit.rank.null import Ints, xlogx
from ctrkit.rank.scores.base import RankingScore, ScoreContext
from ctrkit.rank.statistics import Scorer
from ctrkit.registry import register


@register("score", "randomised")
class Randomised(RankingScore):
    """``adj`` with the mean over drawn permutations in place of the exact expectation."""

    def of_features(self, features: Sequence[Feature], context: ScoreContext) -> list[float | None]:
        """Return the score of each feature."""
        scorer, replicates, seed = context.scorer, context.replicates, context.seed
        return [randomised(f.table.by_class, scorer, replicates, seed) for f in features]


def randomised(table: Ints, scorer: Scorer, replicates: int, seed: int = 0) -> float:
    """Return mutual information minus its mean over permutations of the labels.

    The permuted counts are drawn from the multivariate hypergeometric distribution, from counts
    alone: true permutations, equal for any sharding of the rows.

    Args:
        table: (n, C) rows of each value and class.
        scorer: Scorer against the label.
        replicates: Number of permutations.
        seed: Seed of the permutations.
    """
    size = np.sort(table.sum(axis=1))[::-1]
    totals, rows = scorer.null.totals, scorer.null.rows
    inside = []
    for replicate in range(replicates):
        draw = np.random.default_rng([seed, replicate])
        left, total = size.copy(), 0.0
        for c in totals[1:]:
            drawn = draw.multivariate_hypergeometric(left, int(c), method="marginals")
            left -= drawn
            total += float(xlogx(drawn).sum())
        inside.append(total + float(xlogx(left).sum()))
    real = float(xlogx(np.sort(table, axis=0)).sum())  # equal for any order of the values
    return (real - float(np.mean(inside))) / rows
