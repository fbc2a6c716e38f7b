"""Errors about values name the file, the column, the value and the row in the file."""

from __future__ import annotations

import pickle
from pathlib import Path

import polars as pl
import pytest

from ctrkit import jobs
from ctrkit.data.columns.numbers import to_numbers
from ctrkit.data.columns.text import raw_tokens
from ctrkit.data.infer import Overrides, infer_schema
from ctrkit.data.read.sources import open_source
from ctrkit.errors import CellError, CtrkitError, DataError
from ctrkit.schema import Field

ROWS = 70_000  # more than a chunk of a ranking


@pytest.mark.parametrize("verb", ["rank", "encode"])
def test_an_error_names_file_and_row(tmp_path: Path, verb: str) -> None:
    prices = [f"{i % 7}.5" for i in range(ROWS)]
    prices[66_000:66_009] = ["cheap"] * 9  # in every split
    frame = pl.DataFrame({"price": prices, "click": [i % 2 for i in range(ROWS)]})
    (tmp_path / "data").mkdir()
    frame.head(100).write_csv(tmp_path / "data" / "a.csv")
    frame.write_csv(tmp_path / "data" / "b.csv")
    with pytest.raises(
        DataError, match=r"b\.csv: column 'price' must .* 'cheap' in row 6600[0-8]:"
    ):
        getattr(jobs, verb)(
            tmp_path / "data", label="click", numeric=["price"], out=tmp_path / "out"
        )


def test_a_token_is_found_in_the_row_of_its_list() -> None:
    lists = pl.Series("v", [[1.0], [], None, [2.0, 2.5]])
    with pytest.raises(CellError, match=r"got 2\.5 in row 3") as caught:
        raw_tokens(lists, Field("v", "multi"))
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert str(copy) == str(caught.value)
    assert str(copy.at(7)) == str(caught.value).replace("row 3", "row 7")


def test_every_message_is_one_line_of_printable_text() -> None:
    assert str(CtrkitError("a\n  b\r\x1b[31mc\u2028d")) == "a b\\x0d\\x1b[31mc\\u2028d"
    assert "\n" not in str(DataError("column 'a\nb'"))


@pytest.mark.parametrize("number", ["1.234,5", "1,5", "1,234", "-12.345.678,90", "1,234.5"])
def test_decimal_commas_are_noticed(tmp_path: Path, number: str) -> None:
    values = pl.Series("price", ["1", number, None, "2"])
    with pytest.raises(DataError, match=r"got '.*' in row 1: write numbers with a decimal point"):
        to_numbers(values)
    values.to_frame().with_columns(site=pl.lit("a")).write_csv(tmp_path / "rows.csv")
    _, warnings = infer_schema(open_source(tmp_path / "rows.csv"), Overrides())
    (warning,) = [w for w in warnings if "price" in w]
    assert warning.startswith(f"column 'price' holds numbers such as {number!r} and is read as")
    assert "decimal=','" in warning


@pytest.mark.parametrize("text", ["1,2,3", "1.234", "a,b", "12,34,56", "1,2345,6"])
def test_other_texts_are_no_decimal_commas(tmp_path: Path, text: str) -> None:
    frame = pl.DataFrame({"price": ["1", text, "2"], "site": ["a", "b", "a"]})
    _, warnings = infer_schema(open_source_of(frame, tmp_path), Overrides())
    assert not any("decimal" in w for w in warnings)


def open_source_of(frame: pl.DataFrame, folder: Path):
    frame.write_csv(folder / "rows.csv")
    return open_source(folder / "rows.csv")
