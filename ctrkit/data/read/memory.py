"""Rows in memory, of polars, pandas, pyarrow or plain Python, as polars frames."""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import polars as pl

from ctrkit.data.columns.text import raw_text
from ctrkit.errors import DataError

logger = logging.getLogger(__name__)

_FOREIGN = (
    *(pl.exceptions.PolarsError, pl.exceptions.PanicException),
    *(NotImplementedError, TypeError, ValueError, OverflowError, AttributeError),
)
"""What the libraries raise for values that they cannot convert."""


def to_polars(data: object, needed: Collection[str] = ()) -> pl.DataFrame:
    """Make a frame of a polars, pandas or pyarrow table, a list of dicts or a dict of lists.

    A column of several types, such as the ids ``[3, "4"]``, becomes text. A column that cannot be
    converted is left out, with a warning, unless it is needed.

    Args:
        data: The rows.
        needed: Names of columns that must not be left out if the rows have them.

    Raises:
        DataError: The data is none of these, its columns have different lengths, or a needed
            column cannot be converted.
    """
    try:
        frame = _convert(data, needed)
    except DataError:
        raise
    except _FOREIGN as error:
        try:
            frame = _by_column(data, needed)
        except DataError:
            raise
        except _FOREIGN:
            text = " ".join(str(error).split())
            raise DataError(f"the rows cannot be made into a table: {text[:200]}") from error
    if frame is None:
        raise DataError(
            "rows must be a path, a polars, pandas or pyarrow table, a list of dicts or a dict of "
            f"lists; got {type(data).__name__}"
        )
    return frame


def _convert(data: object, needed: Collection[str]) -> pl.DataFrame | None:
    """Return the frame; None where the data is of another type."""
    if isinstance(data, pl.DataFrame):
        return data
    if isinstance(data, pl.LazyFrame):
        return data.collect()
    if isinstance(data, Mapping):
        return pl.DataFrame(dict(data))
    if isinstance(data, list) and all(isinstance(row, Mapping) for row in data):
        return pl.DataFrame(data, infer_schema_length=None)
    # Whoever passes such a table has imported its library; nobody else should have to.
    arrow, pandas = sys.modules.get("pyarrow"), sys.modules.get("pandas")
    if arrow and isinstance(data, (arrow.Table, arrow.RecordBatch, arrow.RecordBatchReader)):
        return _of_arrow(data, needed)
    if pandas and isinstance(data, pandas.DataFrame):
        return pl.DataFrame(pl.from_pandas(data))
    return None


def _of_arrow(data: Any, needed: Collection[str]) -> pl.DataFrame:
    """Return a pyarrow table, record batch or reader as a frame."""
    import pyarrow as pa

    from ctrkit.data.read.arrow import narrow, unreadable

    reader = isinstance(data, pa.RecordBatchReader)
    table = data.read_all() if reader else data
    odd = unreadable(table.schema)
    for name, dtype in odd.items():
        if name in needed:
            raise DataError(f"column {name!r} cannot be read: its type is {dtype}")
        logger.warning("column %r is left out: its type, %s, cannot be read", name, dtype)
    kept = [index for index, name in enumerate(table.schema.names) if name not in odd]
    return pl.DataFrame(narrow(table.select(kept)))


def _by_column(data: Any, needed: Collection[str]) -> pl.DataFrame | None:
    """Return the frame of the columns that can be converted, each on its own."""
    columns = [(str(name), values) for name, values in _columns(data)]
    names = [name for name, _ in columns]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise DataError(f"the column name {repeated!r} occurs twice in the rows; rename one")
    series = {name: _series(name, values) for name, values in columns}
    for name in [name for name, values in series.items() if values is None]:
        if name in needed:
            raise DataError(
                f"column {name!r} holds values that cannot be converted; they must be of one kind, "
                "such as numbers, texts or lists of texts"
            )
        logger.warning("column %r holds values that cannot be converted and is left out", name)
    return pl.DataFrame([s for s in series.values() if s is not None])


def _columns(data: Any) -> Iterable[tuple[Any, Any]]:
    """Return name and values of each column."""
    pandas = sys.modules.get("pandas")
    if pandas and isinstance(data, pandas.DataFrame):
        return [(name, data.iloc[:, index]) for index, name in enumerate(data.columns)]
    if isinstance(data, list):
        names = dict.fromkeys(name for row in data for name in row)
        return [(name, [row.get(name) for row in data]) for name in names]
    if isinstance(data, Mapping):
        return list(data.items())
    return list(zip(data.schema.names, data.columns, strict=True))


def _series(name: str, values: Any) -> pl.Series | None:
    """Return a column; as text where its values have several types, None where it has none."""
    pandas = sys.modules.get("pandas")
    try:
        if pandas and isinstance(values, pandas.Series):
            return pl.Series(name, pl.from_pandas(values))
        return pl.Series(name, values)
    except _FOREIGN:
        if pandas and isinstance(values, pandas.Series):
            values = values.astype(object).where(values.notna(), None).tolist()
        try:
            return pl.Series(name, [_text(value) for value in values], pl.String)
        except _FOREIGN:
            return None


def _text(value: object) -> str | None:
    """Return the text of a plain value, which stands for the same category in any column.

    Raises:
        TypeError: The value has no text.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return None if value != value else repr(float(value))
    if isinstance(value, list | dict | bytes):
        raise TypeError(f"no text for {type(value).__name__}")
    text: str | None = raw_text(pl.Series([value])).item()
    return text
