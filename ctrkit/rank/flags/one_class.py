"""Columns with values that occur with one class of the label alone."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import numpy.typing as npt

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
        table = feature.table.by_class
        rows = over_classes(table)
        odds = scorer.null.shares / (1 - scorer.null.shares) * ODDS_RATIO
        for label, log_rate in enumerate(np.log(odds / (1 + odds))):
            pure, tested = _pure(table, rows, label, -float(log_rate))
            if not pure.any():
                continue
            count = int(rows[pure].sum())
            other = count * float(1 - scorer.null.shares[label])
            return {
                "why": f"all {count:,} rows of {_values(int(pure.sum()))} have the same label",
                "rows": count,
                "expected_others": other,
                "share": count / scorer.null.rows,
                "tested": tested,
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


def _pure(table: Ints, rows: Ints, label: int, per_row: float) -> tuple[npt.NDArray[np.bool_], int]:
    """Return which values are of one class beyond an ordinary feature, and how many were tested.

    Args:
        table: ``(n, C)`` rows of each value and class.
        rows: ``(n,)`` rows of each value.
        label: The class.
        per_row: Nats of evidence of one row.
    """
    none = np.zeros(len(rows), bool)
    pure = table[:, label] == rows
    chosen = np.flatnonzero(rows * per_row >= ENOUGH)
    chosen = chosen[np.argsort(-rows[chosen], kind="stable")[:MOST_VALUES]]
    gains = np.log1p(STAKE * np.expm1(np.minimum(rows[chosen] * per_row, 600.0)))
    evidence = float(np.where(pure[chosen], gains, math.log1p(-STAKE)).sum())
    if evidence >= LEVEL:
        at = none.copy()
        at[chosen[pure[chosen]]] = True
        return at, len(chosen)
    if len(rows) > 1:
        others = np.arange(len(rows)) != int(rows.argmax())
        if pure[others].all() and int(rows[others].sum()) * per_row >= LEVEL:
            return others, 1
    return none, len(chosen)
