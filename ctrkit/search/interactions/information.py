"""Mutual information of pairs of encoded fields with the label, for the report of a search.

The corrections for chance are those of the ranking; see "OptInter" in ``docs/methods.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ctrkit.data.encode.cross_counts import Column, field_column
from ctrkit.data.hashing import splitmix64
from ctrkit.data.store.batch import Batch
from ctrkit.layout import Layout
from ctrkit.rank.coded import Coded, Pair, cells_of, parallel
from ctrkit.rank.spectrum import Spectrum
from ctrkit.rank.statistics import Scorer

_BATCH = 64  # pairs whose counts are in memory at once


@dataclass(frozen=True)
class Information:
    """Information of a pair of fields about the label, in nats.

    Attributes:
        mi: Plug-in mutual information of the joint value and the label.
        miller_madow: The same with the Miller-Madow correction.
        excess: ``mi`` less its exact expectation under permuted labels.
        interaction: ``excess`` of the pair less that of each of its fields alone.
    """

    mi: float = 0.0
    miller_madow: float = 0.0
    excess: float = 0.0
    interaction: float = 0.0


def pair_information(
    batches: Iterable[Batch], layout: Layout, pairs: Sequence[Pair], most_rows: int = 1_000_000
) -> list[Information]:
    """Return the information of each pair of fields about the label.

    Numbers count by their buckets; a list counts as one value, its set of tokens. Every row
    counts once, whatever its weight.

    Args:
        batches: An epoch of training rows, shuffled if there are more than ``most_rows``.
        layout: Layout of the batches.
        pairs: Positions of the two fields in layout order.
        most_rows: Batches are read until there are this many rows.
    """
    held: list[Batch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += len(batch)
        if rows >= most_rows:
            break
    label = np.concatenate([b.label for b in held]) if held else np.zeros(0, np.uint8)
    totals = np.bincount(label, minlength=2)
    if totals.min() == 0:  # the label is certain
        return [Information() for _ in pairs]
    coded, places = _coded(held, label, layout, pairs)
    return _figures(coded, places, Scorer(totals))


def _figures(coded: Coded, pairs: Sequence[Pair], scorer: Scorer) -> list[Information]:
    """Score each pair, and each single field once."""
    rows, members = coded.rows, sorted({i for pair in pairs for i in pair})
    singles = parallel(lambda i: _single(coded, i), members)
    alone = {i: scorer.adjusted(s)[2] for i, s in zip(members, singles, strict=True)}
    figures = []
    for start in range(0, len(pairs), _BATCH):
        some = pairs[start : start + _BATCH]
        spectra = parallel(lambda pair: Spectrum.of(cells_of(coded, pair)[1]), some)
        for (a, b), s in zip(some, spectra, strict=True):
            mi, _, excess, _ = scorer.adjusted(s)
            cells = sum(int(h.values[h.count > 0].sum()) for h in s.classes)
            figures.append(
                Information(
                    mi=mi,
                    miller_madow=mi + (s.values + coded.classes - cells - 1) / (2 * rows),
                    excess=excess,
                    interaction=excess - alone[a] - alone[b],
                )
            )
    return figures


def _single(coded: Coded, i: int) -> Spectrum:
    joint = coded.columns[i].astype(np.int64) * coded.classes + coded.label
    table = np.bincount(joint, minlength=coded.sizes[i] * coded.classes)
    return Spectrum.of(table.reshape(-1, coded.classes))


def _coded(
    held: Sequence[Batch], label: npt.NDArray[np.uint8], layout: Layout, pairs: Sequence[Pair]
) -> tuple[Coded, list[Pair]]:
    """Return the fields coded without gaps, and the pairs as positions among them."""
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
    """Return one value per row; for a list, a hash of its set of tokens."""
    if column.lengths is None:
        return column.codes
    rows = np.repeat(np.arange(len(column.lengths), dtype=np.uint64), column.lengths)
    tokens = np.unique(rows << np.uint64(32) | column.codes)
    hashes = np.zeros(len(column.lengths), np.uint64)
    mixed = splitmix64(tokens & np.uint64(0xFFFFFFFF))
    np.add.at(hashes, (tokens >> np.uint64(32)).astype(np.int64), mixed)  # in any order
    return hashes
