"""The feature values of a data set: their counts, their shares, and ``features.parquet``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.store.dataset import Dataset
from ctrkit.schema import DROPPED
from ctrkit.search.features.gates import Mask, countable, gated_names, traffic_counts

COLUMNS: dict[str, Any] = {
    "field": pl.String,
    "value": pl.String,
    "code": pl.UInt32,
    "gate": pl.Float32,
    "kept": pl.Boolean,
    "count": pl.Int64,
    "traffic": pl.Float64,
}


class Values:
    """All gated values, fields one after the other.

    Attributes:
        counts: Training occurrences of every value ``(R,)``.
        seen: Whether a value occurs in the training rows ``(R,)``.
    """

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self.rows = data.shards.rows("train")
        self.counts = traffic_counts(data.layout, self.rows)
        self.seen = countable(data.layout)

    def shares(self, kept: Mask) -> dict[str, float]:
        """Return how many values there are, and how many and what share of them are kept."""
        values, count = int(self.seen.sum()), int((kept & self.seen).sum())
        traffic = self.counts[kept & self.seen].sum() / max(1, self.counts[self.seen].sum())
        return {
            "values": values,
            "kept": count,
            "ratio": count / max(1, values),
            "traffic": float(traffic),
        }

    def table(self, gate: npt.NDArray[np.float32], kept: Mask) -> pl.DataFrame:
        """Return ``features.parquet``: a row for each value that can be kept.

        Args:
            gate: Gate parameters ``(R,)``.
            kept: Which values are kept ``(R,)``.
        """
        parts, start = [], 0
        for name, size in gated_names(self.data.layout):
            at = slice(start, start + size)
            start += size
            coded = name in self.data.layout.counts
            frame = pl.DataFrame(
                {
                    "field": [name] * size,
                    "value": self.data.encoder.values(name) if coded else [None],
                    "code": range(size) if coded else [None],
                    "gate": gate[at],
                    "kept": kept[at],
                    "count": self.counts[at],
                    "traffic": self.counts[at] / self.rows,
                },
                schema=COLUMNS,
            )
            parts.append(frame.filter(pl.col("code").is_null() | (pl.col("code") != DROPPED)))
        return pl.concat(parts)
