"""Canonical text of categories, and the tokens of lists."""

from __future__ import annotations

import numpy as np
import polars as pl

from ctrkit.errors import DataError
from ctrkit.schema import Field


def canonical(values: pl.Series) -> pl.Series:
    """Return values as the text that is hashed and kept in vocabularies.

    Integers become decimals, booleans ``0``/``1``, dates and times ISO 8601 (microseconds);
    text is untouched; a null stays null.

    Args:
        values: (n,) of text, categories, integers, booleans, dates, times, or nothing but nulls.

    Returns:
        (n,) text.

    Raises:
        DataError: The type has no canonical text: floats, lists, binary data.
    """
    dtype = values.dtype
    if dtype == pl.String:
        return values
    if dtype == pl.Boolean:
        return values.cast(pl.UInt8).cast(pl.String)
    if isinstance(dtype, pl.Datetime):
        return values.cast(pl.Datetime("us", dtype.time_zone)).dt.to_string("iso:strict")
    if dtype.is_integer() or dtype in (pl.Date, pl.Time, pl.Categorical, pl.Enum, pl.Null):
        return values.cast(pl.String)
    raise DataError(
        f"column {values.name!r} must hold text, whole numbers, booleans or dates; got {dtype}: "
        "declare it numeric, or cast it"
    )


def to_text(values: pl.Series) -> pl.Series:
    """Return a categorical column as canonical text; whole floats and decimals are integers.

    Args:
        values: (n,) of any type with a canonical text, or whole numbers.

    Returns:
        (n,) text; null (and NaN) is missing.

    Raises:
        DataError: A number is not whole, or the type has no canonical text.
    """
    dtype = values.dtype
    if dtype.is_float() or dtype.is_decimal():
        if dtype.is_float():
            values = values.fill_nan(None)
        whole = values.cast(pl.Int64, strict=False)
        bad = values.is_not_null() & (whole.is_null() | (whole.cast(values.dtype) != values))
        if bad.any():
            raise DataError(
                f"column {values.name!r} must hold text or whole numbers; got "
                f"{values.filter(bad)[0]!r}: if it is a field, declare it numeric"
            )
        values = whole
    return canonical(values)


def to_tokens(values: pl.Series, field: Field) -> pl.Series:
    """Return a multi-valued column as lists of canonical text.

    Args:
        values: (n,) lists, or text that is split at ``field.separator`` (empty text: no token).
        field: A multi-valued field.

    Returns:
        (n,) List(String); a null list is missing, a null token too.
    """
    if isinstance(values.dtype, pl.Array):
        values = values.arr.to_list()
    if isinstance(values.dtype, pl.List):
        if values.dtype.inner == pl.String:
            return values
        lengths, flat = explode(values)
        lists = pl.Series(values.name, _lists(to_text(flat.alias(values.name)), lengths))
        return lists.zip_with(values.is_not_null(), pl.Series([None], dtype=lists.dtype))
    text = to_text(values)
    lists = text.str.split(field.separator)
    empty = pl.Series([[]], dtype=pl.List(pl.String))
    return lists.zip_with((text != "").fill_null(True), empty)


def explode(lists: pl.Series) -> tuple[np.ndarray, pl.Series]:
    """Return the length of each list (n,) int64, 0 for null, and all their tokens in order."""
    lengths = lists.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    return lengths, lists.explode(empty_as_null=False, keep_nulls=False)


def _lists(flat: pl.Series, lengths: np.ndarray) -> pl.Series:
    rows = pl.Series("row", np.repeat(np.arange(len(lengths)), lengths))
    grouped = pl.DataFrame({"row": rows, "value": flat}).group_by("row", maintain_order=True).all()
    all_rows = pl.DataFrame({"row": np.arange(len(lengths))})
    return all_rows.join(grouped, on="row", how="left", maintain_order="left")["value"].fill_null(
        pl.Series([[]], dtype=pl.List(pl.String))
    )
