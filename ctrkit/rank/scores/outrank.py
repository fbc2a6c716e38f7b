"""OutRank's score as its package computes it, for comparison.

Source: OutRank (arXiv 2309.01552), package 0.97.5; ``docs/methods.md``, section OutRank, (R5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.read.sources import Source
from ctrkit.errors import DataError
from ctrkit.rank.feature import Feature
from ctrkit.rank.null import xlogx
from ctrkit.rank.scores.base import RankingScore, ScoreContext
from ctrkit.registry import register
from ctrkit.schema import Field, Schema

BATCH_ROWS = 16_384
LEAST_ROWS = 1_024
Codes = npt.NDArray[np.int64]


@register("score", "outrank", paper="arXiv:2309.01552")
class OutRank(RankingScore):
    """Median over batches of mutual information minus that with a shifted feature."""

    ranks_crosses: ClassVar[bool] = False
    any_order: ClassVar[bool] = False

    def of_features(self, features: Sequence[Feature], context: ScoreContext) -> list[float | None]:
        """Return the score of each field; tokens have none.

        Raises:
            DataError: The source has several files, or no batch is large enough.
        """
        fields = [f.table.field for f in features if not f.is_token]
        scores = iter(outrank_scores(context.source, context.schema, fields))
        return [None if f.is_token else next(scores) for f in features]


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
    median over them (the mean of the middle two of an even number), and a shorter last batch has
    the weight of a full one. The shift is not random, so that the score is deterministic. It
    equals the package's within 1e-6: the package rounds parts of its sums to 32 bits. The score
    of two features is that of the earlier column, with the later one as the label.

    Not reproduced: ``mi_stratified_sampling_ratio`` below 1 (the package reads uninitialised
    memory); its choice of 32,768 combinations per batch where there are more; null codes of VW
    files, whose rows it miscounts: here a missing value is empty text, as it is in CSV.

    Args:
        source: One file: batches follow its order.
        schema: Schema that names the label.
        fields: Columns to score; every value counts as text, a missing one as empty text.
        batch_rows: Rows of a batch; a shorter last batch of at most 1,024 rows is left out.
        subsampling: Keep every n-th row, from the n-th on (the package's default is 10).

    Raises:
        DataError: The source has several files, or no batch is large enough.
    """
    if len(source.files) > 1:
        raise DataError(
            "score 'outrank' depends on the order of the rows and needs one file; got "
            f"{len(source.files)} files: rank one of them, or use the default score"
        )
    assert schema.label is not None
    scores: list[list[float]] = [[] for _ in fields]
    names = [schema.label, *(f.name for f in fields if f.name in source.columns)]
    for frame in _batches(source, names, batch_rows, subsampling):
        label = _codes(frame[schema.label])
        for of_field, f in zip(scores, fields, strict=True):
            if f.name in frame.columns:
                of_field.append(shifted(_codes(frame[f.name]), label))
    if not any(scores):
        raise DataError(f"score 'outrank' needs more than {LEAST_ROWS} rows; use the default score")
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
    if int(feature.sum()) == int(label.sum()):  # the package assumes that they are one column
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
