"""Categories as folded hashes: any number of values, none of them counted."""

from __future__ import annotations

import polars as pl

from ctrkit.data.columns.text import unify
from ctrkit.data.encode.field import Codes, FieldCounts, FieldEncoder, Mask
from ctrkit.data.encode.state import FieldState
from ctrkit.data.encode.text import TextEncoder
from ctrkit.data.hashing import fold, stable_hash
from ctrkit.registry import register


@register("encoding", "hash")
class Hashed(TextEncoder):
    """Code = the value's 64-bit hash, folded to 3 .. 2**32 - 1; only missing values are counted."""

    @property
    def key_type(self) -> None:
        """None: no value is counted."""

    def keys(self, values: pl.Series) -> tuple[pl.Series, int]:
        """Return the texts, which are not counted, and how many are missing."""
        texts = self.text(values)
        return texts, texts.null_count()

    def fit(self, counts: FieldCounts) -> FieldEncoder:
        """Keep the number of missing values, and of distinct ones where they were counted."""
        distinct = 0 if counts.table is None else counts.table.height
        state = FieldState(hashed=True, missing=counts.missing, distinct=distinct)
        return self.with_state(state)

    def text_codes(self, texts: pl.Series) -> Codes:
        """Return folded hashes ``(n,)``."""
        hashes = stable_hash(unify(texts))
        return fold((hashes.fill_null(0) if hashes.null_count() else hashes).to_numpy())

    def names(self) -> None:
        """Return None: a hash does not lead back to its value."""

    def pruned(self, kept: Mask) -> FieldEncoder:
        """Refuse: codes that are hashes cannot be pruned by a mask."""
        raise AssertionError(f"field {self.field.name!r} is hash-encoded and has no values to keep")
