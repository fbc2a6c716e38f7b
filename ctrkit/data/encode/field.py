"""How a column becomes codes or numbers: the base classes of every field encoder.

A field encoder is one class in one file, registered by ``ctrkit.registry``: an ``encoding`` for
categories (``vocabulary``, ``hash``, ``auto``), a ``transform`` whose result stays a real number
(``raw``, ``standard``, ...), or a ``bucket`` transform whose result is a category (``quantile``,
...). ``ctrkit.testing.check_field_encoder`` runs the contract suite on it.

The life of a field encoder: made of its field alone, it says what to count (:attr:`key_type`,
:meth:`keys`); :meth:`fit` returns one that is frozen from the counts; that one encodes columns,
describes itself to the layout, and is saved as its :class:`~ctrkit.data.encode.state.FieldState`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.encode.state import FieldState
from ctrkit.layout import LayoutField
from ctrkit.schema import DROPPED, MISSING, RESERVED, UNSEEN, Field, FieldKind

Codes = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
RESERVED_VALUES = ("<missing>", "<unseen>", "<dropped>")
"""Names of the codes 0, 1 and 2."""


@dataclass(frozen=True)
class FieldCounts:
    """What was counted of a field over the training rows.

    Attributes:
        table: ``value`` (the keys) and ``count`` Int64, sorted by value; None where the encoder
            counts missing values only.
        missing: Missing values (of a multi-valued field: missing lists and missing tokens).
        rows: Training rows.
    """

    table: pl.DataFrame | None
    missing: int
    rows: int


class FieldEncoder(ABC):
    """Encodes one field.

    Attributes:
        kind: Kind of the field in the layout: ``categorical``, ``numeric`` or ``multi``.
        field: What the schema says of the column.
        state: The fitted state; the default before :meth:`fit`.
        precision: What a notice adds where values are counted approximately.
    """

    kind: ClassVar[FieldKind]
    precision: ClassVar[str] = ""

    def __init__(self, field: Field, state: FieldState | None = None) -> None:
        self.field = field
        self.state = FieldState() if state is None else state

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FieldEncoder) or type(self) is not type(other):
            return NotImplemented
        return (self.field, self.state) == (other.field, other.state)

    def __hash__(self) -> int:
        return hash((type(self), self.field, self.state))

    @property
    @abstractmethod
    def key_type(self) -> pl.DataType | None:
        """Type of the keys that are counted; None where only missing values are counted."""

    @abstractmethod
    def keys(self, values: pl.Series) -> tuple[pl.Series, int]:
        """Return what is counted of a raw column.

        Args:
            values: (n,) raw values.

        Returns:
            Keys of :attr:`key_type`, nulls among them ignored, and the number of missing values.

        Raises:
            DataError: A value cannot be read as the field's kind.
        """

    def unified(self, keys: pl.Series) -> pl.Series:
        """Return the key under which each distinct key is counted in the end (itself, here).

        Args:
            keys: (n,) distinct keys of :attr:`key_type`.
        """
        return keys

    @abstractmethod
    def fit(self, counts: FieldCounts) -> FieldEncoder:
        """Return the encoder that the counts of the training values determine."""

    def with_state(self, state: FieldState) -> Self:
        """Return an encoder of the same class and field with another state."""
        return type(self)(self.field, state)

    def restored(self, state: FieldState) -> FieldEncoder:
        """Return the fitted encoder whose state was read from a file."""
        return self.with_state(state)

    def layout_field(self) -> LayoutField:
        """Return what a model may know of the field."""
        state = self.state
        rows = 2**32 if state.hashed else len(state.counts)
        return LayoutField(self.field.name, self.kind, rows, state.hashed, state.edges)

    @abstractmethod
    def names(self) -> list[str] | None:
        """Return the text of each code; None where codes have no names."""

    @abstractmethod
    def pruned(self, kept: Mask) -> FieldEncoder:
        """Return an encoder that gives only the kept codes their own code.

        Args:
            kept: (rows,) whether each code stays; one entry for a real number.
        """

    def notice(self, counts: FieldCounts) -> str:
        """Return why the field can teach a model nothing, as the end of a sentence, or ''."""
        if counts.table is None:
            return "is missing in every training row" if counts.missing == counts.rows else ""
        seen = counts.table["count"]
        if not len(seen):
            return "is missing in every training row"
        if len(seen) == 1 and counts.missing == 0 and seen[0] == counts.rows:
            return f"is constant in training{self.precision}"
        return ""


class CategoryEncoder(FieldEncoder):
    """Encodes a column as one code per row."""

    kind = "categorical"

    @abstractmethod
    def encode(self, values: pl.Series) -> Codes:
        """Return the codes of a raw column.

        Args:
            values: (n,) raw values.

        Returns:
            (n,) uint32: 0 missing, 1 unseen or rare, 2 dropped by a selection, values from 3 on.

        Raises:
            DataError: A value cannot be read as the field's kind.
        """

    @abstractmethod
    def hashes(self, values: pl.Series) -> tuple[Hashes, Mask]:
        """Return what a cross of the schema mixes: (n,) hashes, and (n,) which are missing."""

    def recoded(self, codes: Codes) -> Codes:
        """Apply ``state.recode`` to codes, in place."""
        recode = self.state.recode
        if recode:
            first = codes < len(recode)
            codes[first] = np.asarray(recode, np.uint32)[codes[first]]
        return codes

    def kept_counts(self, kept: Mask) -> tuple[int, ...]:
        """Return the counts after pruning: dropped values are counted under code 2."""
        assert len(kept) == len(self.state.counts), (len(kept), len(self.state.counts))
        counts = np.asarray(self.state.counts, np.int64)
        after = np.where(kept, counts, 0)[kept_codes(kept)]
        after[DROPPED] = int(counts[~kept].sum())
        return tuple(after.tolist())


def kept_codes(kept: Mask) -> npt.NDArray[np.int64]:
    """Return the code before pruning of each code after it ``(rows,)``."""
    return np.concatenate([np.arange(RESERVED), np.flatnonzero(kept[RESERVED:]) + RESERVED])


def kept_reserved(kept: Mask) -> list[int]:
    """Return the codes after pruning of missing and of unseen values."""
    return [code if kept[code] else DROPPED for code in (MISSING, UNSEEN)]
