"""Categories with a vocabulary: one code for each value seen often enough in training."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.text import respelled, unify
from ctrkit.data.encode.field import (
    RESERVED_VALUES,
    Codes,
    FieldCounts,
    FieldEncoder,
    Mask,
    kept_reserved,
)
from ctrkit.data.encode.hashed import Hashed
from ctrkit.data.encode.lookup import ABSENT, Lookup
from ctrkit.data.encode.state import FieldState
from ctrkit.data.encode.text import TextEncoder
from ctrkit.data.hashing import stable_hash
from ctrkit.registry import register
from ctrkit.schema import DROPPED, MISSING, RESERVED, UNSEEN


@register("encoding", "vocabulary")
class Vocabulary(TextEncoder):
    """Codes from 3 by falling training count, ties by the text's bytes; rare values are code 1."""

    @property
    def key_type(self) -> pl.DataType | None:
        """Values are counted by their text."""
        return pl.String()

    def keys(self, values: pl.Series) -> tuple[pl.Series, int]:
        """Return the texts, and how many are missing."""
        texts = self.text(values)
        return texts, texts.null_count()

    def fit(self, counts: FieldCounts) -> FieldEncoder:
        """Keep the values that training holds at least ``min_count`` times."""
        assert counts.table is not None
        kept = frequent(counts.table, self.field.min_count)
        kept = kept.sort("count", descending=True, maintain_order=True)  # it is sorted by value
        rare = int(counts.table["count"].sum()) - int(kept["count"].sum())
        state = FieldState(
            values=tuple(kept["value"].to_list()),
            counts=(counts.missing, rare, 0, *kept["count"].to_list()),
            missing=counts.missing,
            distinct=counts.table.height,
        )
        return self.with_state(state)

    @functools.cached_property
    def _lookup(self) -> Lookup:
        return Lookup(pl.Series("value", self.state.values, pl.String))

    @functools.cached_property
    def _aliases(self) -> tuple[Lookup, npt.NDArray[np.int32]] | None:
        """Look-up of the unified values, and the place of each.

        None where the values are unified themselves; those of earlier versions are not.
        """
        values = pl.Series("value", self.state.values, pl.String)
        unified = unify(values)
        if unified is values:
            return None
        first = unified.is_first_distinct()
        return Lookup(unified.filter(first)), first.arg_true().to_numpy().astype(np.int32)

    def text_codes(self, texts: pl.Series) -> Codes:
        """Return the codes of texts ``(n,)``: 1 for those that are not in the vocabulary."""
        places = self._lookup.find(texts)
        self._find_respelled(texts, places)
        absent = places == ABSENT
        codes = (places + np.int32(RESERVED)).view(np.uint32)
        codes[absent] = UNSEEN
        if self.state.dropped and absent.any():
            rows = np.flatnonzero(absent)
            codes[rows[self._was_dropped(unify(texts.gather(rows)))]] = DROPPED
        return codes

    def _find_respelled(self, texts: pl.Series, places: npt.NDArray[np.int32]) -> None:
        """Find the texts that the vocabulary holds in another spelling; write their places."""
        absent = places == ABSENT
        if texts.null_count():
            absent &= texts.is_not_null().to_numpy()
        rows = np.flatnonzero(absent)
        if not len(rows):
            return
        if self._aliases is None:
            rows, canonical = respelled(texts, rows)
            places[rows] = self._lookup.find(canonical)
        else:
            lookup, values = self._aliases
            found = lookup.find(unify(texts.gather(rows)))
            places[rows] = np.where(found == ABSENT, np.int32(ABSENT), values[found])

    def _was_dropped(self, texts: pl.Series) -> Mask:
        """Return which texts a selection dropped, by their hashes."""
        dropped = np.asarray(self.state.dropped, np.uint64)
        hashes = stable_hash(texts).fill_null(0).to_numpy()
        at = np.minimum(np.searchsorted(dropped, hashes), len(dropped) - 1)
        hit: Mask = dropped[at] == hashes
        return hit

    def names(self) -> list[str]:
        """Return the text of each code."""
        return [*RESERVED_VALUES, *self.state.values]

    def pruned(self, kept: Mask) -> FieldEncoder:
        """Return the vocabulary of the kept values; the hashes of dropped ones are remembered."""
        values = np.asarray(self.state.values, object)
        dropped = pl.Series("value", values[~kept[RESERVED:]].tolist(), pl.String)
        hashes = np.sort(stable_hash(dropped).to_numpy()) if kept[UNSEEN] else np.zeros(0, np.int64)
        reserved = kept_reserved(kept)
        state = replace(
            self.state,
            values=tuple(values[kept[RESERVED:]].tolist()),
            counts=self.kept_counts(kept),
            recode=tuple(reserved) if reserved != [MISSING, UNSEEN] else (),
            dropped=tuple(hashes.tolist()),
        )
        return self.with_state(state)

    def notice(self, counts: FieldCounts) -> str:
        """Also report a field that has only rare values."""
        text = super().notice(counts)
        if text or counts.table is None or (counts.table["count"] >= self.field.min_count).any():
            return text
        return (
            f"has only rare values (code {UNSEEN}); lower its min_count = {self.field.min_count}, "
            "or leave the field out"
        )


@register("encoding", "auto")
class Auto(Vocabulary):
    """A vocabulary while its values fit ``max_rows``, else hashes."""

    def fit(self, counts: FieldCounts) -> FieldEncoder:
        """Choose by the number of values that would be kept."""
        assert counts.table is not None
        if frequent(counts.table, self.field.min_count).height > self.field.max_rows:
            return Hashed(self.field).fit(counts)
        return super().fit(counts)

    def restored(self, state: FieldState) -> FieldEncoder:
        """Return what :meth:`fit` chose."""
        return Hashed(self.field, state) if state.hashed else self.with_state(state)


def frequent(table: pl.DataFrame, min_count: int) -> pl.DataFrame:
    """Return the rows of a table of counts that hold a value often enough, in their order."""
    return table.filter(pl.col("count") >= min_count)
