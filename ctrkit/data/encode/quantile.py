"""Numbers as categories: buckets that hold about equally many training rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from ctrkit.data.columns.numbers import to_numbers
from ctrkit.data.encode.edges import bucket_codes, quantile_edges
from ctrkit.data.encode.field import (
    RESERVED_VALUES,
    CategoryEncoder,
    Codes,
    FieldCounts,
    FieldEncoder,
    Hashes,
    Mask,
    kept_codes,
    kept_reserved,
)
from ctrkit.data.encode.histogram import CELL_WIDTH, cell_counts, cell_keys, lower_bounds
from ctrkit.data.encode.state import FieldState
from ctrkit.registry import register
from ctrkit.schema import DROPPED, MISSING, RESERVED, UNSEEN


@register("bucket", "quantile")
class Quantile(CategoryEncoder):
    """At most ``bins`` buckets of about equally many training rows; codes rise with the number."""

    precision = CELL_WIDTH

    @property
    def key_type(self) -> pl.DataType | None:
        """Numbers are counted by histogram cells."""
        return pl.UInt32()

    def keys(self, values: pl.Series) -> tuple[pl.Series, int]:
        """Return the histogram cells of the numbers, and how many are missing."""
        return cell_keys(values)

    def fit(self, counts: FieldCounts) -> FieldEncoder:
        """Keep the edges and the count of each bucket."""
        assert counts.table is not None
        cell, count = cell_counts(counts.table)
        edges = quantile_edges(cell, count, self.field.bins)
        codes = bucket_codes(lower_bounds(cell), edges)
        by_code = np.bincount(codes, weights=count, minlength=RESERVED + len(edges) + 1)
        by_code[MISSING] = counts.missing
        state = FieldState(
            counts=tuple(map(int, by_code)),
            edges=edges,
            missing=counts.missing,
            distinct=counts.table.height,
        )
        return self.with_state(state)

    def encode(self, values: pl.Series) -> Codes:
        """Return the bucket of each number; see :meth:`CategoryEncoder.encode`."""
        return self.recoded(self._buckets(values))

    def _buckets(self, values: pl.Series) -> Codes:
        return bucket_codes(to_numbers(values), self.state.edges)

    def hashes(self, values: pl.Series) -> tuple[Hashes, Mask]:
        """Return the code of each bucket, before pruning, and which are missing."""
        codes = self._buckets(values)
        return codes.astype(np.uint64), codes == MISSING

    def names(self) -> list[str]:
        """Return the interval of each kept bucket."""
        ends = [f"{edge:g}" for edge in self.state.edges]
        names = [f"[{a}, {b})" for a, b in zip(["-inf", *ends], [*ends, "inf"], strict=True)]
        kept = [code != DROPPED for code in self.state.recode[RESERVED:]] or [True] * len(names)
        return [*RESERVED_VALUES, *(n for n, stays in zip(names, kept, strict=True) if stays)]

    def pruned(self, kept: Mask) -> FieldEncoder:
        """Return the same edges with new codes: dropped buckets are code 2."""
        counts = self.kept_counts(kept)
        recode = np.full(len(kept), DROPPED)
        recode[kept_codes(kept)] = np.arange(len(counts))
        recode[[MISSING, UNSEEN]] = kept_reserved(kept)
        return self.with_state(replace(self.state, counts=counts, recode=tuple(recode.tolist())))
