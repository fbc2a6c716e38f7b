"""What pairs of encoded fields tell of the label: the figures beside a search's choice of pairs.

Source: methods.md 3.9; the corrections are the ranking's own (outrank.md 2.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ctrkit.data.encode.cross_counts import Column, field_column
from ctrkit.data.hashing import splitmix64
from ctrkit.data.store.batch import Batch
from ctrkit.layout import Layout
from ctrkit.rank.coded import Coded, Pair, cells_of, parallel
from ctrkit.rank.spectrum import Spectrum
from ctrkit.rank.statistics import Scorer

_BATCH = 64  # pairs whose counts are held together


def pair_information(
    batches: Iterable[Batch], layout: Layout, pairs: Sequence[Pair], most_rows: int = 1_000_000
) -> list[dict[str, str | float]]:
    """Return, per pair, what its two fields together tell of the label, in nats.

    Numbers go by their buckets; a list is its set of tokens, as one value. Rows count once,
    whatever their weight.

    Args:
        batches: An epoch of training rows, shuffled where they are more than ``most_rows``.
        layout: Of the batches.
        pairs: Positions of the members in layout order.
        most_rows: Batches are read until there are this many rows.

    Returns:
        ``a, b`` (names); ``mi``: plug-in mutual information of the joint value and the label;
        ``miller_madow``: less the bias of its three entropies' occupied cells; ``excess``: less
        its exact expectation under permuted labels; ``interaction``: ``excess`` less that of each
        member alone.
    """
    held: list[Batch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += len(batch)
        if rows >= most_rows:
            break
    label = np.concatenate([b.label for b in held]) if held else np.zeros(0, np.uint8)
    names = layout.names
    known = [{"a": names[i], "b": names[j]} for i, j in pairs]
    nothing = dict.fromkeys(("mi", "miller_madow", "excess", "interaction"), 0.0)
    totals = np.bincount(label, minlength=2)
    if totals.min() == 0:  # the label is certain
        return [{**pair, **nothing} for pair in known]
    coded, places = _coded(held, label, layout, pairs)
    return [
        {**pair, **found}
        for pair, found in zip(known, _figures(coded, places, Scorer(totals)), strict=True)
    ]


def _figures(coded: Coded, pairs: Sequence[Pair], scorer: Scorer) -> list[dict[str, float]]:
    """Score each pair, and each of the members once."""
    rows, members = coded.rows, sorted({i for pair in pairs for i in pair})
    singles = parallel(lambda i: _single(coded, i), members)
    alone = {i: scorer.adjusted(s)[2] for i, s in zip(members, singles, strict=True)}
    found = []
    for start in range(0, len(pairs), _BATCH):
        some = pairs[start : start + _BATCH]
        spectra = parallel(lambda pair: Spectrum.of(cells_of(coded, pair)[1]), some)
        for (a, b), s in zip(some, spectra, strict=True):
            mi, _, excess, _ = scorer.adjusted(s)
            cells = sum(int(h.values[h.count > 0].sum()) for h in s.classes)
            found.append(
                {
                    "mi": mi,
                    "miller_madow": mi + (s.values + coded.classes - cells - 1) / (2 * rows),
                    "excess": excess,
                    "interaction": excess - alone[a] - alone[b],
                }
            )
    return found


def _single(coded: Coded, i: int) -> Spectrum:
    joint = coded.columns[i].astype(np.int64) * coded.classes + coded.label
    table = np.bincount(joint, minlength=coded.sizes[i] * coded.classes)
    return Spectrum.of(table.reshape(-1, coded.classes))


def _coded(
    held: Sequence[Batch], label: npt.NDArray[np.uint8], layout: Layout, pairs: Sequence[Pair]
) -> tuple[Coded, list[Pair]]:
    """Code the members without gaps; return them, and the pairs as places among them."""
    members = sorted({i for pair in pairs for i in pair})
    columns, sizes = [], []
    for position in members:
        values = _one_value(field_column(layout, held, position))
        distinct, codes = np.unique(values, return_inverse=True)
        columns.append(codes.astype(np.uint32))
        sizes.append(len(distinct))
    place = {position: index for index, position in enumerate(members)}
    return Coded(columns, sizes, label, 2), [(place[i], place[j]) for i, j in pairs]


def _one_value(column: Column) -> npt.NDArray[np.unsignedinteger]:
    """Return one value a row: of a list, a hash of its set of tokens."""
    if column.lengths is None:
        return column.codes
    rows = np.repeat(np.arange(len(column.lengths), dtype=np.uint64), column.lengths)
    met = np.unique(rows << np.uint64(32) | column.codes)
    found = np.zeros(len(column.lengths), np.uint64)
    mixed = splitmix64(met & np.uint64(0xFFFFFFFF))
    np.add.at(found, (met >> np.uint64(32)).astype(np.int64), mixed)  # sums do not know order
    return found
