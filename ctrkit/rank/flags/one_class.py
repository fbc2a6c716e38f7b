"""Columns with values that occur with one class of the label alone."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import Drops, Flag
from ctrkit.rank.null import Ints, over_classes
from ctrkit.rank.result import Evidence
from ctrkit.rank.statistics import Scorer
from ctrkit.registry import register

ODDS_RATIO = 20.0
"""A value may multiply the odds of a class so much and still be an ordinary feature."""
LEVEL = math.log(1e6)  # of evidence against an ordinary feature
ENOUGH = math.log(1e3)  # evidence that the rows of one value must be able to give
STAKE = 0.1
MOST_VALUES = 100


@register("flag", "one_class")
class OneClass(Flag):
    """Rows of some values all have one class, which odds of 20 times the average cannot explain.

    Each value with enough rows is tested, and all values but the most frequent one together, by
    products of e-values ``1 - stake + stake / P(all rows in one class)``; of a value whose rows are
    of several classes ``1 - stake``. Source: Vovk and Wang, Ann. Statist. 49 (2021).
    """

    leaks: ClassVar[bool] = True
    drops: ClassVar[Drops] = "always"
    covers: ClassVar[tuple[str, ...]] = ("within", "target_encoded")
    phrase: ClassVar[str] = "one-class"

    def of_column(self, feature: Feature, scorer: Scorer) -> Evidence | None:
        """Return the rows, the values, and the rows of other classes that were to be expected."""
        if feature.is_token:
            return None
        odds = scorer.null.shares / (1 - scorer.null.shares) * ODDS_RATIO
        per_row = -np.log(odds / (1 + odds))  # (C,) nats of evidence of one row
        missing = feature.table.missing.sum(axis=0, keepdims=True)
        rows = np.append(over_classes(feature.table.known), missing.sum())
        often = np.flatnonzero(rows * float(per_row.max()) >= ENOUGH)
        often = often[np.argsort(-rows[often], kind="stable")[:MOST_VALUES]]
        values = len(rows) - (not missing.any())
        known = feature.table.known
        counts = known[np.minimum(often, len(known) - 1)] if len(known) else missing[: len(often)]
        counts[often == len(known)] = missing
        for label, nats in enumerate(per_row.tolist()):
            count, pure = _pure(counts, scorer.null.totals, label, nats)
            if count:
                named = _values(pure or values - 1)
                return {
                    "why": f"all {count:,} rows of {named} have the same label",
                    "rows": count,
                    "expected_others": count * float(1 - scorer.null.shares[label]),
                    "share": count / scorer.null.rows,
                }
        return None

    def message(self, evidence: Evidence) -> str:
        """Return the rows, and what an ordinary feature would have."""
        return (
            f"{evidence['why']} ({evidence['share']:.1%} of the data); by chance about "
            f"{evidence['expected_others']:,.0f} of them would have another"
        )


def _values(count: int) -> str:
    return "one value" if count == 1 else f"{count:,} values"


def _pure(counts: Ints, totals: Ints, label: int, per_row: float) -> tuple[int, int]:
    """Return the rows of one class beyond an ordinary feature, and of how many values they are.

    Args:
        counts: ``(n, C)`` rows of the most frequent values and each class, by falling rows.
        totals: ``(C,)`` rows of each class.
        label: The class.
        per_row: Nats of evidence of one row.

    Returns:
        0 rows without evidence; 0 values: of all but the most frequent one.
    """
    rows = over_classes(counts)
    enough = rows * per_row >= ENOUGH
    pure = enough & (counts[:, label] == rows)
    gains = np.log1p(STAKE * np.expm1(np.minimum(rows * per_row, 600.0)))
    if float(np.where(pure, gains, math.log1p(-STAKE))[enough].sum()) >= LEVEL and pure.any():
        return int(rows[pure].sum()), int(pure.sum())
    if len(counts):
        others = totals - counts[0]
        if others[label] == others.sum() and others[label] * per_row >= LEVEL:
            return int(others[label]), 0
    return 0, 0
