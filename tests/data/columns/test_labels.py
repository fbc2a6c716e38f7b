"""A label is 0 or 1; anything else is an error that names the value and its row."""

from __future__ import annotations

import polars as pl
import pytest

from ctrkit.data.columns.labels import is_binary, label_array
from ctrkit.errors import DataError
from ctrkit.schema import Schema

SCHEMA = Schema((), label="y")


@pytest.mark.parametrize(
    "values", [[0, 1], [False, True], [0.0, 1.0], ["0", "1"], ["false", "True"], ["0.0", "1.0"]]
)
def test_binary_values_are_labels(values: list[object]) -> None:
    assert label_array(pl.DataFrame({"y": values}), SCHEMA).tolist() == [0, 1]


@pytest.mark.parametrize("values", [[0, 2], [1.0, 0.5], [True, None], ["1", "yes"]])
def test_other_values_are_refused_with_row_and_value(values: list[object]) -> None:
    with pytest.raises(DataError, match=rf"got {values[1]!r} in row 11"):
        label_array(pl.DataFrame({"y": values}), SCHEMA, first_row=10)


def test_no_rows_have_no_labels() -> None:
    assert label_array(pl.DataFrame({"y": []}, schema={"y": pl.Int64}), SCHEMA).shape == (0,)


@pytest.mark.parametrize(
    ("values", "binary"),
    [([0, 1, None], True), (["TRUE", "0"], True), ([0.5], False), (["click"], False), ([], True)],
)
def test_binary_labels_are_those_that_are_accepted(values: list[object], binary: bool) -> None:
    assert is_binary(pl.Series("y", values, dtype=None if values else pl.Int8)) is binary


def test_a_list_is_an_error_of_one_line() -> None:
    frame = pl.DataFrame({"y": [[0, 1]] * 3})
    with pytest.raises(DataError, match=r"got \[0, 1\] in row 0") as raised:
        label_array(frame, SCHEMA)
    assert "\n" not in str(raised.value)
