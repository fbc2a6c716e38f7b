"""The random split: by a hash of the key, or of the row's identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from ctrkit.data.columns.groups import hash_ids
from ctrkit.data.columns.rows import row_ids
from ctrkit.data.hashing import splitmix64
from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.data.split.base import SplitPlan
from ctrkit.registry import register
from ctrkit.schema import Schema, Split


@register("split", "random")
@dataclass(frozen=True)
class HashSplit(SplitPlan):
    """Random, by a hash: rows with the same key are in the same split.

    Attributes:
        seed: Seed of the hash.
        key: Key column; None, and where a key is missing: the file and the row number decide.
    """

    seed: int = 0
    key: str | None = None

    @classmethod
    def decide(cls, source: Source, schema: Schema, split: Split, seed: int) -> Self:
        """Take the key of the schema; nothing is read."""
        return cls(split, seed, schema.key)

    @property
    def column(self) -> str | None:
        """The key column, if any."""
        return self.key

    def assign(self, chunk: Chunk) -> npt.NDArray[np.uint8]:
        """Cut the hashes, as numbers in ``[0, 1)``, at the ratios."""
        salt = splitmix64(np.array([self.seed], np.uint64))
        hashes = splitmix64(row_ids(chunk) ^ salt)
        if self.key is not None:
            keys = hash_ids(chunk.frame.get_column(self.key), self.seed)
            has_key = keys.is_not_null().to_numpy()
            hashes = np.where(has_key, splitmix64(keys.fill_null(0).to_numpy()), hashes)
        unit = (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
        ends = np.cumsum(self.split.ratios)[:2] / sum(self.split.ratios)
        return np.searchsorted(ends, unit, side="right").astype(np.uint8)

    def decisions(self) -> dict[str, object]:
        """Return the seed."""
        return {"seed": self.seed}
