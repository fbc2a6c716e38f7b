"""What a model may know of the encoded data: fields, rows, counts, exact crosses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
import numpy.typing as npt

from ctrkit.schema import FORMAT, RESERVED, FieldKind


@dataclass(frozen=True)
class LayoutField:
    """All that a model may know of a field.

    Attributes:
        name: The field's name, from which the salt of hashed addressing is derived.
        kind: ``categorical`` (one code), ``numeric`` (one real number), ``multi`` (a bag of codes).
        rows: Codes are in ``0..rows-1``, the three reserved ones included; 2**32 where the
            field is hash-encoded; 0 for numbers.
        hashed: Whether codes are folded hashes, so that no ``full`` table can hold them.
        edges: Bucket edges of a number. Where the number stays real, they are edges of what the
            model reads (the transformed number), for crosses; representable in float32.
    """

    name: str
    kind: FieldKind
    rows: int
    hashed: bool = False
    edges: tuple[float, ...] = ()

    @property
    def coded(self) -> bool:
        """Whether a model reads codes of the field rather than a number."""
        return self.kind != "numeric"

    @property
    def own_rows(self) -> int:
        """Codes that can have a table row each; 0 for hashes and numbers."""
        return 0 if self.hashed else self.rows

    @property
    def cross_rows(self) -> int:
        """Codes of the field in crosses; a real number crosses by its bucket."""
        return self.rows if self.coded else RESERVED + len(self.edges) + 1


@dataclass(frozen=True, eq=False)
class CrossKeys:
    """Crosses of pairs of fields that have their own embedding.

    ``ctrkit.data.encode.cross_keys`` numbers the keys and keeps them in files.

    Attributes:
        pairs: Names of the members, in layout order.
        keys: (K,) int64 rising: ``base of the pair + code * rows of the second + its code``.
        counts: (K,) int64 training counts.
        min_count: A key is kept if training holds it at least this often.
    """

    pairs: tuple[tuple[str, str], ...]
    keys: npt.NDArray[np.int64] = field(repr=False)
    counts: npt.NDArray[np.int64] = field(repr=False)
    min_count: int


@dataclass(frozen=True)
class Layout:
    """The encoded fields in the order of a batch: categorical, then numeric, then multi.

    Attributes:
        fields: The fields; ``codes`` holds the categorical ones, ``numbers`` the numeric ones,
            ``bags`` the multi-valued ones, each in this order.
        counts: Per field, the training count of each code, where they were counted; kept in the
            encoder's files rather than in ``layout.json``.
        crosses: Exact crosses, where they were counted; kept in the encoder's files too.
    """

    fields: tuple[LayoutField, ...]
    counts: Mapping[str, npt.NDArray[np.int64]] = field(
        default_factory=dict, compare=False, repr=False
    )
    crosses: CrossKeys | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        order = get_args(FieldKind)
        kinds = [order.index(f.kind) for f in self.fields]
        assert kinds == sorted(kinds), "layout order is categorical, numeric, multi"

    def of_kind(self, kind: FieldKind) -> tuple[LayoutField, ...]:
        """Return the fields of one kind, in order."""
        return tuple(f for f in self.fields if f.kind == kind)

    @property
    def coded(self) -> tuple[LayoutField, ...]:
        """The fields with codes, categorical then multi: the order of embedding tables."""
        return tuple(f for f in self.fields if f.coded)

    def column(self, position: int) -> int:
        """Return the place of a field among those of its kind: its column in a batch.

        Args:
            position: Position of the field in the layout.
        """
        kind = self.fields[position].kind
        return sum(f.kind == kind for f in self.fields[:position])

    @property
    def names(self) -> list[str]:
        """Names of all fields, in the order of the embedding's F axis."""
        return [f.name for f in self.fields]

    def to_json(self) -> str:
        """Return ``layout.json``'s text (without the counts)."""
        rows = [dataclasses.asdict(f) for f in self.fields]
        return json.dumps({"format": FORMAT, "fields": rows}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Layout:
        """Read ``layout.json``'s text."""
        rows = json.loads(text)["fields"]
        return cls(tuple(LayoutField(**{**r, "edges": tuple(r["edges"])}) for r in rows))
