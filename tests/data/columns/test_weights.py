"""Weights are finite numbers from 0, and not all of them are 0."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ctrkit.data.columns.weights import check_total, weight_array, weight_numbers
from ctrkit.errors import DataError, SchemaError
from ctrkit.schema import Schema

SCHEMA = Schema((), weight="w")


@pytest.mark.parametrize("values", [[0, 2], [0.0, 2.0], ["0", "2.0"], [False, True]])
def test_numbers_and_text_are_read(values: list[object]) -> None:
    frame = pl.DataFrame({"w": values})
    weights, counts = weight_array(frame, SCHEMA), weight_numbers(frame, SCHEMA)
    assert weights is not None
    assert counts is not None
    assert weights.dtype == np.float32
    assert weights.tolist() == counts.tolist() == [0, int(float(values[1]))]


@pytest.mark.parametrize("bad", [None, -1.0, float("nan"), float("inf"), 1e39])
def test_other_values_are_refused_with_row_and_value(bad: float | None) -> None:
    frame = pl.DataFrame({"w": [1.0, bad]})
    for read in (weight_array, weight_numbers):
        with pytest.raises(DataError, match=r"weight 'w' must be finite.*got .* in row 11"):
            read(frame, SCHEMA, first_row=10)


def test_a_total_of_zero_is_refused() -> None:
    check_total(1e-9, SCHEMA, "test rows")
    check_total(0.0, Schema(()), "test rows")
    for total in (0.0, float("nan")):
        with pytest.raises(DataError, match="weight 'w' must be above 0 in some of the test rows"):
            check_total(total, SCHEMA, "test rows")


def test_the_label_is_no_weight() -> None:
    with pytest.raises(SchemaError, match=r"the weight must not be the label 'y'.*--weight"):
        Schema((), label="y", weight="y")


def test_no_weights_where_none_are_declared_or_the_column_is_absent() -> None:
    frame = pl.DataFrame({"w": [1.0]})
    assert weight_array(frame, Schema(())) is None
    assert weight_array(frame.drop("w"), SCHEMA) is None
