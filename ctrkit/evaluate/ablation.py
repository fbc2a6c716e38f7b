"""What the log loss says of fields and pairs: permute columns and see what is lost.

Works for every model, on categorical, numeric and multi-valued fields alike. Source: methods.md
2.10; single permutations are Breiman's permutation importance (2001).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ctrkit.data.encoder import Encoded
from ctrkit.metrics import logloss
from ctrkit.schema import Layout

Score = Callable[[Encoded], npt.NDArray[np.float32]]
Rows = npt.NDArray[np.int64]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Ablation:
    """Log-loss increases by permutation; the spread is over repeats.

    Attributes:
        logloss: Of the rows as they are.
        single: ``(F, repeats)``: increase when one field is permuted.
        pairs: Field positions of the pairs that were evaluated.
        joint: ``(P, repeats)``: increase when a pair is permuted together.
    """

    logloss: float
    single: npt.NDArray[np.float64]
    pairs: tuple[Pair, ...]
    joint: npt.NDArray[np.float64]

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """``(P, repeats)``: joint increase minus the sum of the single ones.

        Negative: the model needs the two together (synergy; breaking either already costs what
        breaking both does). Positive: they stand in for each other. Zero: they act apart.
        """
        if not self.pairs:
            return np.empty((0, self.single.shape[1]))
        first, second = np.array(self.pairs).T
        scores: npt.NDArray[np.float64] = self.joint - self.single[first] - self.single[second]
        return scores


def ablate(
    score: Score,
    encoded: Encoded,
    label: npt.NDArray[np.uint8],
    layout: Layout,
    *,
    choose: Callable[[npt.NDArray[np.float64]], Sequence[Pair]],
    weight: npt.NDArray[np.float32] | None = None,
    repeats: int = 3,
    seed: int = 0,
) -> Ablation:
    """Permute single fields, then pairs; each repeat uses one permutation for all of them.

    Sharing the permutation makes the score of a pair exactly zero where its fields have no effect,
    and takes most of the noise out of the difference.

    Args:
        score: Encoded rows -> logits ``(n,)``.
        encoded: The rows.
        label: ``(n,)`` 0/1.
        layout: Order of the fields.
        choose: Mean single increases ``(F,)`` -> pairs to evaluate, as field positions.
        weight: ``(n,)`` row weights.
        repeats: Permutations that are averaged.
        seed: Of the permutations.
    """
    orders = [np.random.default_rng([seed, r]).permutation(len(label)) for r in range(repeats)]

    def loss(rows: Encoded) -> float:
        return float(logloss(label, score(rows), weight))

    base = loss(encoded)

    def increases(fields: Sequence[int]) -> list[float]:
        return [loss(permuted(encoded, layout, fields, order)) - base for order in orders]

    single = np.array([increases([f]) for f in range(len(layout.fields))])  # (F, repeats)
    single = single.reshape(len(layout.fields), repeats)
    pairs = tuple(choose(single.mean(axis=1)))
    joint = np.array([increases(pair) for pair in pairs]).reshape(len(pairs), repeats)
    return Ablation(base, single, pairs, joint)


def permuted(encoded: Encoded, layout: Layout, fields: Sequence[int], order: Rows) -> Encoded:
    """Return rows in which the given fields (positions in the layout) come from row ``order``."""
    place = [(f.kind, n) for n, f in enumerate(layout.fields)]
    start = {k: next((n for kind, n in place if kind == k), 0) for k in dict(place)}
    columns: dict[str, list[int]] = {"categorical": [], "numeric": [], "multi": []}
    for index in fields:
        kind = layout.fields[index].kind
        columns[kind].append(index - start[kind])
    changes: dict[str, Any] = {}
    for name, kind in (("codes", "categorical"), ("numbers", "numeric")):
        if columns[kind]:
            array = getattr(encoded, name).copy()
            array[:, columns[kind]] = array[order][:, columns[kind]]
            changes[name] = array
    if columns["multi"]:
        changes["bags"] = tuple(
            take_bag(bag, order) if n in columns["multi"] else bag
            for n, bag in enumerate(encoded.bags)
        )
    return replace(encoded, **changes)


def take_bag(bag: tuple[Any, Rows], order: Rows) -> tuple[Any, Rows]:
    """Return the bags of rows ``order``: ``tokens (T,)`` and ``offsets (n + 1,)``."""
    tokens, offsets = bag
    lengths = np.diff(offsets)[order]
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    shift = np.repeat(offsets[:-1][order] - ends[:-1], lengths)
    return tokens[np.arange(ends[-1]) + shift], ends


def take_rows(encoded: Encoded, order: Rows) -> Encoded:
    """Return the given rows."""
    bags = tuple(take_bag(bag, order) for bag in encoded.bags)
    return replace(encoded, codes=encoded.codes[order], numbers=encoded.numbers[order], bags=bags)
