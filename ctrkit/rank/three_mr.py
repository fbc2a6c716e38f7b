"""3MR: features in order of relevance, low redundancy and high relation.

Source: OutRank (arXiv 2309.01552), section 3; ``docs/methods.md``, section OutRank.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from ctrkit.rank.null import Floats

Strategy = Literal["median", "mean", "sum"]
_REDUCE: dict[str, Callable[..., Floats]] = {"median": np.median, "mean": np.mean, "sum": np.sum}


def three_mr(
    relevance: Floats,
    redundancy: Floats,
    relation: Floats,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    strategy: Strategy = "median",
    scale: bool = True,
) -> tuple[list[int], list[float]]:
    """Order features greedily.

    First the most relevant; then, repeatedly, the f that maximises ``relevance(f) - alpha * median
    redundancy(f, h) + beta * median relation(f, h)`` over the chosen h. Of equal features, the
    first is chosen.

    Args:
        relevance: (p,) score of each feature with the label.
        redundancy: (p, p) score of each pair with each other, symmetric; the diagonal is not read.
        relation: (p, p) score of each cross with the label, in the same form.
        alpha: Weight of redundancy.
        beta: Weight of relation.
        strategy: How pairs with the chosen features are reduced.
        scale: Whether to scale each table to 0..1 first, as published; False: keep nats.

    Returns:
        Positions in order, and the value at which each was chosen.

    Raises:
        ValueError: A pair is missing (NaN).
    """
    count = len(relevance)
    off = ~np.eye(count, dtype=bool)
    if not (np.isfinite(redundancy[off]).all() and np.isfinite(relation[off]).all()):
        raise ValueError("3MR: redundancy and relation must be finite for every pair")
    if scale:
        relevance = _scaled(relevance, np.ones(count, bool))
        redundancy, relation = _scaled(redundancy, off), _scaled(relation, off)
    order: list[int] = []
    values: list[float] = []
    left = np.ones(count, bool)
    total = relevance.astype(np.float64)
    while left.any():
        if order:
            chosen = np.asarray(order)
            reduce = _REDUCE[strategy]
            total = relevance - alpha * reduce(redundancy[:, chosen], axis=1)
            total += beta * reduce(relation[:, chosen], axis=1)
        best = int(np.where(left, total, -np.inf).argmax())
        order.append(best)
        values.append(float(total[best]))
        left[best] = False
    return order, values


def _scaled(table: Floats, used: npt.NDArray[np.bool_]) -> Floats:
    values = table[used]
    if not len(values):
        return table
    low, high = float(values.min()), float(values.max())
    return (table - low) / (high - low) if high > low else np.zeros_like(table)
