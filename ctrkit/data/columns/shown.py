"""A value of a column as messages show it: in one line, and short."""

from __future__ import annotations

import polars as pl

_LONGEST = 80  # characters


def shown(values: pl.Series, row: int) -> str:
    """Return the value of a row as Python writes it; a list in one line, a long one cut."""
    value = values[row]
    text = repr(value.to_list() if isinstance(value, pl.Series) else value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
