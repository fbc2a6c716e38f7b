"""The published scores, for comparison: OutRank's as its package runs it, and by permutation.

Source: OutRank (arXiv 2309.01552), package 0.97.5, restated in outrank.md 1.3-1.4 and 2.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.read.sources import Source
from ctrkit.errors import DataError
from ctrkit.rank.null import Ints, xlogx
from ctrkit.rank.scores import Scorer
from ctrkit.schema import Field, Schema

BATCH_ROWS = 16_384
LEAST_ROWS = 1_024
Codes = npt.NDArray[np.int64]


def outrank_scores(
    source: Source,
    schema: Schema,
    fields: Sequence[Field],
    batch_rows: int = BATCH_ROWS,
    subsampling: int = 1,
) -> list[float]:
    """Return OutRank's ``MI-numba-randomized`` score of each field, as the package computes it.

    For a batch of N rows with label Y, ``S = (1/N) (sum g(k_vc) - sum g(k~_vc))`` where ``k~``
    counts the feature of row ``(i + N_c) mod N`` for a row i of class c. It depends on the order
    of the rows, and on ``batch_rows``.

    Batches are consecutive rows of the file, each coded and scored on its own; the score is the
    median over them (the mean of the middle two of an even number), a shorter last batch weighing
    as much as a full one. The shift is no random number, so that all of this is deterministic,
    and equal to the package's score within 1e-6: it rounds parts of its sums to 32 bits. The
    score of two features is that of the earlier column, with the later one as the label.

    Not reproduced: ``mi_stratified_sampling_ratio`` below 1 (the package reads memory that it
    never wrote); its choice of 32,768 combinations a batch where there are more; null codes of
    VW files, whose rows it miscounts: here a missing value is empty text, as it is in CSV.

    Args:
        source: One file: batches follow its order.
        schema: Names the label.
        fields: Columns to score; every value counts as text, a missing one as empty text.
        batch_rows: Rows of a batch; a shorter last batch of at most 1,024 rows is left out.
        subsampling: Keep every n-th row, the n-th first (the package's default is 10).

    Raises:
        DataError: The source has several files, or no batch is large enough.
    """
    if len(source.files) > 1:
        raise DataError("score 'outrank' depends on the order of rows: rank one file, not several")
    assert schema.label is not None
    scores: list[list[float]] = [[] for _ in fields]
    names = [schema.label, *(f.name for f in fields if f.name in source.columns)]
    for frame in _batches(source, names, batch_rows, subsampling):
        label = _codes(frame[schema.label])
        for found, f in zip(scores, fields, strict=True):
            if f.name in frame.columns:
                found.append(shifted(_codes(frame[f.name]), label))
    if not any(scores):
        raise DataError(
            f"score 'outrank' needs a batch of more than {LEAST_ROWS} rows; use the default score"
        )
    return [float(np.median(s)) if s else 0.0 for s in scores]


def _batches(
    source: Source, names: list[str], rows: int, subsampling: int
) -> Iterator[pl.DataFrame]:
    held = pl.DataFrame()
    for chunk in source.file_chunks(0, list(dict.fromkeys(names)), rows * subsampling):
        held = chunk.frame.gather_every(subsampling, subsampling - 1)
        if held.height == rows or held.height > LEAST_ROWS:
            yield held


def _codes(values: pl.Series) -> Codes:
    """Return the lexicographic rank of each value among the batch's."""
    if isinstance(values.dtype, pl.List):
        values = values.cast(pl.List(pl.String)).list.join("-")
    text = values.cast(pl.String).fill_null("")
    ranks: Codes = (text.rank("dense").to_numpy() - 1).astype(np.int64)
    return ranks


def shifted(feature: Codes, label: Codes) -> float:
    """Return the score of one batch.

    Args:
        feature: (N,) codes from 0.
        label: (N,) codes from 0.
    """
    rows = len(label)
    if int(feature.sum()) == int(label.sum()):  # the package takes them for one column
        return _mutual_information(feature, label)
    score = 0.0
    for c in range(int(label.max()) + 1):
        at = np.flatnonzero(label == c)
        real = np.bincount(feature[at])
        spoofed = np.bincount(feature[(at + len(at)) % rows])
        score += float(xlogx(real).sum() - xlogx(spoofed).sum())
    return score / rows


def _mutual_information(feature: Codes, label: Codes) -> float:
    rows = len(label)
    joint = np.bincount(feature * (int(label.max()) + 1) + label)
    sums = [float(xlogx(np.bincount(c)).sum()) for c in (feature, label)]
    return (float(xlogx(joint).sum()) - sum(sums)) / rows + float(np.log(rows))


def randomised(table: Ints, scorer: Scorer, replicates: int, seed: int = 0) -> float:
    """Return mutual information less its mean over permutations of the labels.

    The permuted labels are dealt to the values by the multivariate hypergeometric law, from
    counts alone: a true permutation, equal for any sharding of the rows.

    Args:
        table: (n, C) rows of each value and class.
        scorer: Of the label.
        replicates: Permutations.
        seed: Of the permutations.
    """
    size = np.sort(table.sum(axis=1))[::-1]
    totals, rows = scorer.null.totals, scorer.null.rows
    inside = []
    for replicate in range(replicates):
        draw = np.random.default_rng([seed, replicate])
        left, total = size.copy(), 0.0
        for c in totals[1:]:
            dealt = draw.multivariate_hypergeometric(left, int(c), method="marginals")
            left -= dealt
            total += float(xlogx(dealt).sum())
        inside.append(total + float(xlogx(left).sum()))
    real = float(xlogx(table).sum())
    return (real - float(np.mean(inside))) / rows
