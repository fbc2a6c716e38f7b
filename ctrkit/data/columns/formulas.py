"""Texts that a spreadsheet would compute: formulas in the cells of a csv file."""

from __future__ import annotations

import polars as pl

_FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"


def without_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """Put an apostrophe before each text, and column name, that a spreadsheet reads as a formula.

    Source: OWASP, "CSV Injection": a cell that begins with =, +, -, @, a tab or a line break.
    """
    text = pl.col(pl.String)
    marked = pl.when(text.str.contains(_FORMULA)).then("'" + text).otherwise(text)
    names = pl.Series(frame.columns, dtype=pl.String)
    safe = pl.select(pl.when(names.str.contains(_FORMULA)).then("'" + names).otherwise(names))
    return frame.with_columns(marked.name.keep()).rename(
        dict(zip(frame.columns, safe.to_series(), strict=True))
    )
