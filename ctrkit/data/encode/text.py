"""Categories identified by their canonical text: what vocabularies and hashes share."""

from __future__ import annotations

from abc import abstractmethod

import polars as pl

from ctrkit.data.columns.text import to_text
from ctrkit.data.encode.field import CategoryEncoder, Codes, Hashes, Mask
from ctrkit.data.hashing import stable_hash
from ctrkit.schema import MISSING


class TextEncoder(CategoryEncoder):
    """Encodes the canonical text of a column."""

    def text(self, values: pl.Series) -> pl.Series:
        """Return the canonical text of raw values ``(n,)``; null where missing."""
        return to_text(values)

    @abstractmethod
    def text_codes(self, texts: pl.Series) -> Codes:
        """Return the codes of canonical texts ``(n,)``; those of nulls are overwritten."""

    def encode(self, values: pl.Series) -> Codes:
        """Return the codes of a raw column; see :meth:`CategoryEncoder.encode`."""
        texts = self.text(values)
        codes = self.text_codes(texts)
        if texts.null_count():
            codes[texts.is_null().to_numpy()] = MISSING
        return self.recoded(codes)

    def hashes(self, values: pl.Series) -> tuple[Hashes, Mask]:
        """Return the stable hash of each text, and which are missing."""
        hashed = stable_hash(self.text(values))
        return hashed.fill_null(0).to_numpy(), hashed.is_null().to_numpy()
