"""Multi-valued fields: each token of a list is encoded as a category."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.text import explode, raw_tokens
from ctrkit.data.encode.field import CategoryEncoder, Codes, FieldCounts, FieldEncoder, Mask
from ctrkit.data.encode.state import FieldState
from ctrkit.schema import MISSING


class BagEncoder(FieldEncoder):
    """Encodes lists by an encoder of their tokens; its state is that encoder's.

    Attributes:
        tokens: Encodes one token per row.
    """

    kind = "multi"

    def __init__(self, tokens: CategoryEncoder) -> None:
        super().__init__(tokens.field, tokens.state)
        self.tokens = tokens

    def encode(self, values: pl.Series) -> tuple[Codes, npt.NDArray[np.int64]]:
        """Return the codes of a raw column of lists.

        Args:
            values: (n,) lists, or text that the field's separator splits.

        Returns:
            Tokens (T,) and the length of each row's list (n,); a missing list is one missing
            token.

        Raises:
            DataError: A token has no canonical text.
        """
        lists = raw_tokens(values, self.field)
        lengths, flat = explode(lists)
        codes = self.tokens.encode(flat.cast(pl.String))
        null = lists.is_null().to_numpy()
        if null.any():
            starts = np.cumsum(lengths) - lengths
            (missing,) = self.tokens.recoded(np.array([MISSING], np.uint32))
            codes = np.insert(codes, starts[null], missing)
            lengths = np.where(null, 1, lengths)
        return codes, lengths

    @property
    def key_type(self) -> pl.DataType | None:
        """Type of the keys that the encoder of the tokens counts."""
        return self.tokens.key_type

    def keys(self, values: pl.Series) -> tuple[pl.Series, int]:
        """Return the keys of all tokens, and how many lists and tokens are missing."""
        lists = raw_tokens(values, self.field)
        keys, missing = self.tokens.keys(explode(lists)[1].cast(pl.String))
        return keys, lists.null_count() + missing

    def unified(self, keys: pl.Series) -> pl.Series:
        """Return the tokens' keys as their encoder counts them."""
        return self.tokens.unified(keys)

    def fit(self, counts: FieldCounts) -> FieldEncoder:
        """Fit the encoder of the tokens."""
        return bag(self.tokens.fit(counts))

    def restored(self, state: FieldState) -> FieldEncoder:
        """Restore the encoder of the tokens."""
        return bag(self.tokens.restored(state))

    def names(self) -> list[str] | None:
        """Return the names of the tokens' codes."""
        return self.tokens.names()

    def pruned(self, kept: Mask) -> FieldEncoder:
        """Prune the encoder of the tokens."""
        return bag(self.tokens.pruned(kept))

    def notice(self, counts: FieldCounts) -> str:
        """Return the tokens' notice; missing tokens alone do not say that all rows are missing."""
        return "" if counts.table is None else self.tokens.notice(counts)


def bag(tokens: FieldEncoder) -> BagEncoder:
    """Wrap an encoder of tokens."""
    assert isinstance(tokens, CategoryEncoder), f"tokens need a code, not {tokens.kind}"
    return BagEncoder(tokens)
