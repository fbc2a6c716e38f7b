"""Categories identified by their canonical text: what vocabularies and hashes share."""

from __future__ import annotations

from abc import abstractmethod

import polars as pl

from ctrkit.data.columns.text import raw_text, unify
from ctrkit.data.encode.field import CategoryEncoder, Codes, Hashes, Mask
from ctrkit.data.hashing import stable_hash
from ctrkit.schema import MISSING


class TextEncoder(CategoryEncoder):
    """Encodes the canonical text of a column."""

    def text(self, values: pl.Series) -> pl.Series:
        """Return raw values ``(n,)`` as text, before :func:`unify`; null where missing."""
        return raw_text(values)

    def unified(self, keys: pl.Series) -> pl.Series:
        """Return the canonical text of texts."""
        return unify(keys)

    @abstractmethod
    def text_codes(self, texts: pl.Series) -> Codes:
        """Return the codes of texts ``(n,)``, before :func:`unify`; nulls are overwritten later."""

    def encode(self, values: pl.Series) -> Codes:
        """Return the codes of a raw column; see :meth:`CategoryEncoder.encode`."""
        texts = self.text(values)
        codes = self.text_codes(texts)
        if texts.null_count():
            codes[texts.is_null().to_numpy()] = MISSING
        return self.recoded(codes)

    def hashes(self, values: pl.Series) -> tuple[Hashes, Mask]:
        """Return the stable hash of each canonical text, and which are missing."""
        hashed = stable_hash(unify(self.text(values)))
        return hashed.fill_null(0).to_numpy(), hashed.is_null().to_numpy()
