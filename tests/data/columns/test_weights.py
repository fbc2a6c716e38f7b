"""Weights are finite numbers from 0; a ranking takes whole ones."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ctrkit.data.columns.weights import weight_array, whole_weights
from ctrkit.errors import DataError
from ctrkit.schema import Schema

SCHEMA = Schema((), weight="w")


@pytest.mark.parametrize("values", [[0, 2], [0.0, 2.0], ["0", "2.0"], [False, True]])
def test_numbers_and_text_are_read(values: list[object]) -> None:
    frame = pl.DataFrame({"w": values})
    weights, counts = weight_array(frame, SCHEMA), whole_weights(frame, SCHEMA)
    assert weights is not None
    assert counts is not None
    assert weights.dtype == np.float32
    assert weights.tolist() == counts.tolist() == [0, int(float(values[1]))]


@pytest.mark.parametrize("bad", [None, -1.0, float("nan"), float("inf"), 1e39])
def test_other_values_are_refused_with_row_and_value(bad: float | None) -> None:
    frame = pl.DataFrame({"w": [1.0, bad]})
    for read in (weight_array, whole_weights):
        with pytest.raises(DataError, match=r"weight 'w' must be finite.*got .* in row 11"):
            read(frame, SCHEMA, first_row=10)


def test_a_fraction_is_a_weight_but_not_a_number_of_rows() -> None:
    frame = pl.DataFrame({"w": [1.0, 0.5]})
    assert weight_array(frame, SCHEMA) is not None
    with pytest.raises(DataError, match=r"must be a whole number.*got 0\.5 in row 1"):
        whole_weights(frame, SCHEMA)


def test_no_weights_where_none_are_declared_or_the_column_is_absent() -> None:
    frame = pl.DataFrame({"w": [1.0]})
    assert weight_array(frame, Schema(())) is None
    assert weight_array(frame.drop("w"), SCHEMA) is None
