"""A uniform sample of the rows of a source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from ctrkit.data.read.sources import Source


def sample_rows(source: Source, columns: Sequence[str], rows: int, seed: int) -> pl.DataFrame:
    """Draw rows uniformly from a source of any length, in one pass and flat memory.

    Args:
        source: Raw rows.
        columns: Columns to read.
        rows: Most rows to draw.
        seed: Seed of the draw.

    Returns:
        The rows in the order of the source; all of them where it has no more than ``rows``.
    """
    draw = np.random.default_rng(seed)
    kept: pl.DataFrame | None = None
    for chunk in source.chunks(columns):
        keys = pl.Series("", draw.random(chunk.frame.height))
        keyed = pl.DataFrame({"key": keys, "row": chunk.frame.to_struct("row")})
        kept = keyed if kept is None else pl.concat([kept, keyed])
        if kept.height > rows:
            kept = kept.filter(pl.col("key").rank("ordinal") <= rows)
    return pl.DataFrame() if kept is None else kept["row"].struct.unnest()
