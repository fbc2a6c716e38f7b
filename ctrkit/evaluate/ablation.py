"""How much the log loss grows when fields, or pairs of fields, are permuted.

Works for every model, on categorical, numeric and multi-valued fields alike. Source: permutation
importance (Breiman, Random Forests, 2001), extended to pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ctrkit.data.store.batch import Encoded, take_bag
from ctrkit.layout import Layout
from ctrkit.metrics import logloss
from ctrkit.schema import FieldKind

Score = Callable[[Encoded], npt.NDArray[np.float32]]
Rows = npt.NDArray[np.int64]
Pair = tuple[int, int]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class Ablation:
    """Log-loss increases by permutation, on disjoint parts of the rows (the repeats).

    Attributes:
        logloss: Log loss of the rows as they are.
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
        breaking both does). Positive: each can replace the other. Zero: they act separately.
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
    repeats: int = 4,
    seed: int = 0,
) -> Ablation:
    """Permute single fields, then pairs, within each of ``repeats`` disjoint parts of the rows.

    A part uses one permutation for all fields: the score of a pair is then exactly zero where its
    fields have no effect, and most of the noise cancels in the difference. Disjoint parts, rather
    than repeats on the same rows, let the standard error include the variance of the rows too, at
    one pass per field or pair.

    Args:
        score: Encoded rows -> logits ``(n,)``.
        encoded: The rows.
        label: ``(n,)`` 0/1.
        layout: Order of the fields.
        choose: Mean single increases ``(F,)`` -> pairs to evaluate, as field positions.
        repeats: Number of parts; fewer where a part would have less than two rows.
        seed: Seed of the permutations.
    """
    count = max(1, min(repeats, len(label) // 2))
    parts = np.array_split(np.arange(len(label)), count)
    order = np.concatenate(
        [np.random.default_rng([seed, n]).permutation(part) for n, part in enumerate(parts)]
    )

    def losses(logit: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return np.array([logloss(label[part], logit[part]) for part in parts])

    logit = score(encoded)
    base = losses(logit)

    def increases(fields: Sequence[int]) -> npt.NDArray[np.float64]:
        return losses(score(permuted(encoded, layout, fields, order))) - base

    single = np.array([increases([f]) for f in range(len(layout.fields))])  # (F, repeats)
    single = single.reshape(len(layout.fields), count)
    pairs = tuple(choose(single.mean(axis=1)))
    joint = np.array([increases(pair) for pair in pairs]).reshape(len(pairs), count)
    return Ablation(logloss(label, logit), single, pairs, joint)


def permuted(encoded: Encoded, layout: Layout, fields: Sequence[int], order: Rows) -> Encoded:
    """Return rows in which the given fields (positions in the layout) come from row ``order``."""
    places: dict[FieldKind, list[int]] = {"categorical": [], "numeric": [], "multi": []}
    for index in fields:
        places[layout.fields[index].kind].append(layout.column(index))
    bags = (
        take_bag(bag, order) if n in places["multi"] else bag for n, bag in enumerate(encoded.bags)
    )
    return replace(
        encoded,
        codes=_permute(encoded.codes, places["categorical"], order),
        numbers=_permute(encoded.numbers, places["numeric"], order),
        bags=tuple(bags),
    )


def _permute(
    array: npt.NDArray[Number], columns: Sequence[int], order: Rows
) -> npt.NDArray[Number]:
    """Return ``(n, C)`` with the given columns taken from row ``order``."""
    if not columns:
        return array
    result = array.copy()
    result[:, columns] = array[order][:, columns]
    return result


def standard_error(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the standard error of the means of ``(n, repeats)``; 0 for one repeat."""
    repeats = values.shape[1]
    if repeats < 2:
        return np.zeros(len(values))
    error: npt.NDArray[np.float64] = values.std(axis=1, ddof=1) / np.sqrt(repeats)
    return error
