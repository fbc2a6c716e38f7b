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

from ctrkit.data.encode.encoder import Encoded
from ctrkit.layout import Layout
from ctrkit.metrics import logloss

Score = Callable[[Encoded], npt.NDArray[np.float32]]
Rows = npt.NDArray[np.int64]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Ablation:
    """Log-loss increases by permutation, on disjoint parts of the rows (the repeats).

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
    repeats: int = 4,
    seed: int = 0,
) -> Ablation:
    """Permute single fields, then pairs, within each of ``repeats`` disjoint parts of the rows.

    A part uses one permutation for all fields: the score of a pair is then exactly zero where its
    fields have no effect, and most of the noise leaves the difference. Parts rather than repeats
    on the same rows: the spread then holds that of the rows too, at one pass per field or pair.

    Args:
        score: Encoded rows -> logits ``(n,)``.
        encoded: The rows.
        label: ``(n,)`` 0/1.
        layout: Order of the fields.
        choose: Mean single increases ``(F,)`` -> pairs to evaluate, as field positions.
        weight: ``(n,)`` row weights.
        repeats: Parts; fewer where a part would hold less than two rows.
        seed: Of the permutations.
    """
    count = max(1, min(repeats, len(label) // 2))
    parts = np.array_split(np.arange(len(label)), count)
    order = np.concatenate(
        [np.random.default_rng([seed, n]).permutation(part) for n, part in enumerate(parts)]
    )

    def losses(logit: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return np.array(
            [logloss(label[p], logit[p], None if weight is None else weight[p]) for p in parts]
        )

    logit = score(encoded)
    base = losses(logit)

    def increases(fields: Sequence[int]) -> npt.NDArray[np.float64]:
        return losses(score(permuted(encoded, layout, fields, order))) - base

    single = np.array([increases([f]) for f in range(len(layout.fields))])  # (F, repeats)
    single = single.reshape(len(layout.fields), count)
    pairs = tuple(choose(single.mean(axis=1)))
    joint = np.array([increases(pair) for pair in pairs]).reshape(len(pairs), count)
    return Ablation(logloss(label, logit, weight), single, pairs, joint)


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


def standard_error(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the standard error of the means of ``(n, repeats)``; 0 for one repeat."""
    repeats = values.shape[1]
    if repeats < 2:
        return np.zeros(len(values))
    error: npt.NDArray[np.float64] = values.std(axis=1, ddof=1) / np.sqrt(repeats)
    return error
