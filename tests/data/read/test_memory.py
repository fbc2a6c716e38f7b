"""Tables of other libraries, and plain Python rows, become polars frames."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from ctrkit.data.read.memory import to_polars
from ctrkit.errors import DataError

FRAME = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
TABLE = pa.table({"a": [1, 2], "b": ["x", None]})


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        FRAME.lazy(),
        TABLE,
        TABLE.to_batches()[0],
        pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches()),
        pd.DataFrame({"a": [1, 2], "b": ["x", None]}),
        [{"a": 1, "b": "x"}, {"a": 2, "b": None}],
        {"a": [1, 2], "b": ["x", None]},
    ],
    ids=lambda data: f"{type(data).__module__.partition('.')[0]}.{type(data).__name__}",
)
def test_tables_are_converted(data: object) -> None:
    assert to_polars(data).equals(FRAME)


@pytest.mark.parametrize("data", [3, [1], pa.array([1]), pd.Series([1]), "rows.csv", None])
def test_other_types_are_refused(data: object) -> None:
    with pytest.raises(DataError, match=f"must be a path.*got {type(data).__name__}"):
        to_polars(data)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="cannot be made into a table"):
        to_polars({"a": [1], "b": [1, 2, 3]})


def test_pandas_and_pyarrow_are_not_imported() -> None:
    code = (
        "import sys; from ctrkit.data.read.memory import to_polars; to_polars({'a': [1]});"
        "print(*[m for m in ('pandas', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("form", [pd.DataFrame, dict])
def test_values_of_several_types_become_text(form: Callable[[dict[str, Any]], object]) -> None:
    ids = [3, "4", None, 2.5, True, 3.0, dt.date(2024, 1, 31), float("nan")]
    frame = to_polars(form({"id": ids, "n": range(8)}))
    assert frame["id"].to_list() == ["3", "4", None, "2.5", "1", "3.0", "2024-01-31", None]
    assert frame["n"].to_list() == list(range(8))


def test_a_column_that_cannot_be_converted_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    frame = to_polars(pd.DataFrame({"a": [1, 2], "o": [object(), object()]}))
    assert frame.to_dict(as_series=False) == {"a": [1, 2]}
    assert "column 'o' holds values that cannot be converted and is left out" in caplog.text


@pytest.mark.parametrize("values", [[1, [2]], ["a", {"b": 1}, [1]], [[1], "a"]])
def test_a_needed_column_that_cannot_be_converted_is_refused(values: list[object]) -> None:
    rows = [{"a": value, "b": 1} for value in values]
    assert to_polars(rows, ["b"]).columns == ["b"]
    with pytest.raises(DataError, match="column 'a' holds values that cannot be converted"):
        to_polars(rows, ["a", "b"])
