"""A spreadsheet computes no text of a safe csv file."""

from __future__ import annotations

import polars as pl

from ctrkit.data.columns.formulas import without_formulas


def test_formulas_get_an_apostrophe_and_other_cells_stay() -> None:
    texts = ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "a=1", "", None, "'=1", "é"]
    frame = pl.DataFrame({"=n": texts, "k": [-1.5] * len(texts)})
    safe = without_formulas(frame)
    assert safe.columns == ["'=n", "k"]
    marked = [f"'{text}" for text in texts[:6] if text]
    assert safe["'=n"].to_list() == [*marked, "a=1", "", None, "'=1", "é"]
    assert safe["k"].equals(frame["k"])
    assert without_formulas(frame.clear()).columns == ["'=n", "k"]
