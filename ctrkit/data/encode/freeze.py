"""What training freezes of a field: its vocabulary, moments or bucket edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from ctrkit.data.encode.counts import Counts, by_cells
from ctrkit.data.encode.numeric import (
    bucket_codes,
    lower_bounds,
    moments,
    quantile_edges,
    real_edges,
    real_numbers,
)
from ctrkit.schema import MISSING, RESERVED, Field


@dataclass(frozen=True)
class FieldState:
    """What training froze of a field.

    Attributes:
        hashed: Codes are folded hashes; there is no vocabulary.
        values: Text by code - 3.
        counts: Training count of each code (rows,), empty where hashed or a real number.
        mean: Of ``standard``.
        sd: Of ``standard``.
        edges: Of ``quantile``; of a real number: of its transformed values, for crosses.
        missing: Missing training values.
        distinct: Values (or cells) seen in training.
        recode: Of a pruned field: what codes 0, 1, ... became; codes beyond it stay. A vocabulary
            without its dropped values needs it for 0 and 1 only, buckets for all.
        dropped: Of a pruned vocabulary: sorted 64-bit hashes of the values that selection
            dropped; none where code 1 was dropped too, for then all of them are alike.
    """

    hashed: bool = False
    values: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    mean: float = 0.0
    sd: float = 0.0
    edges: tuple[float, ...] = ()
    missing: int = 0
    distinct: int = 0
    recode: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()


def freeze(f: Field, counts: Counts) -> FieldState:
    """Freeze a field from the counts of its training values."""
    missing = counts.missing[f.name]
    if f.encoding == "hash":
        return FieldState(hashed=True, missing=missing)
    table = counts.table(f.name)
    if by_cells(f):
        cell, count = table["value"].to_numpy(), table["count"].to_numpy()
        mean, sd = moments(cell, count)
        if not f.bucketised:
            read = real_numbers(lower_bounds(cell), f.transform, mean, sd)
            edges = real_edges(read, count, f.bins)
            return FieldState(mean=mean, sd=sd, edges=edges, missing=missing, distinct=table.height)
        edges = quantile_edges(cell, count, f.bins)
        bucket = bucket_codes(lower_bounds(cell), edges)
        by_code = np.bincount(bucket, weights=count, minlength=RESERVED + len(edges) + 1)
        by_code[MISSING] = missing
        return FieldState(
            counts=tuple(map(int, by_code)), edges=edges, missing=missing, distinct=table.height
        )
    kept = table.filter(pl.col("count") >= f.min_count)
    if f.encoding == "auto" and kept.height > f.max_rows and f.kind != "numeric":
        return FieldState(hashed=True, missing=missing, distinct=table.height)
    kept = kept.sort("count", descending=True, maintain_order=True)  # it is sorted by value
    rare = int(table["count"].sum()) - int(kept["count"].sum())
    by_value = (missing, rare, 0, *kept["count"].to_list())
    return FieldState(
        values=tuple(kept["value"].to_list()),
        counts=by_value,
        missing=missing,
        distinct=table.height,
    )
