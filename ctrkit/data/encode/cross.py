"""Crosses of the schema: the joint value of several fields as one hash-encoded category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from ctrkit.data.encode.field import CategoryEncoder, Codes, FieldEncoder, Hashes
from ctrkit.data.hashing import fold, splitmix64
from ctrkit.errors import SchemaError
from ctrkit.layout import LayoutField
from ctrkit.schema import MISSING, Cross


class CrossEncoder:
    """Encodes a cross from the raw columns of its members; nothing of it is counted.

    Attributes:
        cross: What the schema declares.
        members: Encoders of the members, in order.
    """

    def __init__(self, cross: Cross, members: Sequence[FieldEncoder]) -> None:
        """Take the members.

        Raises:
            SchemaError: A member stays a real number or is multi-valued.
        """
        self.cross = cross
        self.members = [_category(member, cross) for member in members]

    def layout_field(self) -> LayoutField:
        """Return what a model may know of the cross."""
        return LayoutField(self.cross.name, "categorical", 2**32, hashed=True)

    def encode(self, columns: Mapping[str, pl.Series]) -> Codes:
        """Mix the members' hashes in order.

        Args:
            columns: Raw columns (n,) by name, the members' among them.

        Returns:
            (n,) uint32; 0 where a member is missing.
        """
        joint: Hashes | None = None
        missing = np.zeros(0, bool)
        for member in self.members:
            hashes, null = member.hashes(columns[member.field.name])
            missing = null if joint is None else missing | null
            joint = splitmix64(hashes if joint is None else joint ^ hashes)
        assert joint is not None
        return np.where(missing, np.uint32(MISSING), fold(joint))


def _category(member: FieldEncoder, cross: Cross) -> CategoryEncoder:
    if not isinstance(member, CategoryEncoder):
        raise SchemaError(
            f"cross {cross.name!r}: member {member.field.name!r} is {member.field.kind}; "
            "members must be categorical fields or buckets"
        )
    return member
