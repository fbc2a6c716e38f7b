"""Group and key columns as 64-bit hashes: which rows belong together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.text import to_text
from ctrkit.data.hashing import stable_hash
from ctrkit.schema import Schema

NO_GROUP = 0
"""Hash of the rows that have no group; they form one group."""


def hash_ids(values: pl.Series, seed: int = 0) -> pl.Series:
    """Hash a column of identifiers: equal values have equal hashes, whatever the column's type.

    Args:
        values: ``(n,)`` of any type that :func:`~ctrkit.data.columns.text.to_text` reads.
        seed: Seed of the hash.

    Returns:
        ``(n,)`` UInt64; null (and NaN) stays null.

    Raises:
        DataError: A value is neither text nor a whole number.
    """
    return stable_hash(to_text(values), seed).alias("v")


def group_array(frame: pl.DataFrame, schema: Schema) -> npt.NDArray[np.uint64] | None:
    """Read the group column.

    Args:
        frame: ``(n,)`` rows.
        schema: Schema that names the group column.

    Returns:
        ``(n,)`` hashes, :data:`NO_GROUP` where the group is missing; None where the schema names
        no group, or the rows do not have the column.

    Raises:
        DataError: A value is neither text nor a whole number.
    """
    if schema.group is None or schema.group not in frame.columns:
        return None
    return hash_ids(frame.get_column(schema.group)).fill_null(NO_GROUP).to_numpy()
