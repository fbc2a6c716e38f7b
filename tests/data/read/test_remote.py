"""Rows over http: parquet by ranges, csv as a stream."""

from __future__ import annotations

import polars as pl
import pytest

from ctrkit.data.read.sources import open_source
from ctrkit.errors import DataError

FRAME = pl.DataFrame({"click": [0, 1, 1], "user": [2**60 + 1, 7, 7], "site": ["a", None, "c"]})


def rows(url: str) -> pl.DataFrame:
    return pl.concat([chunk.frame for chunk in open_source(url).chunks()])


def test_parquet_over_http(server, tmp_path):
    FRAME.write_parquet(tmp_path / "rows.parquet")
    assert rows(f"{server}/rows.parquet").equals(FRAME)


def test_csv_over_http_is_text(server, tmp_path):
    FRAME.write_csv(tmp_path / "rows.csv")
    found = rows(f"{server}/rows.csv")
    assert found["user"].to_list() == [str(2**60 + 1), "7", "7"]
    assert found["site"].to_list() == ["a", None, "c"]


def test_an_absent_file_is_an_error_of_one_line(server):
    with pytest.raises(DataError, match=r"nowhere\.parquet") as caught:
        rows(f"{server}/nowhere.parquet")
    assert "\n" not in str(caught.value)


def test_a_name_that_occurs_twice_is_refused_as_in_local_files(server, tmp_path):
    (tmp_path / "rows.csv").write_text("click,a,a\n1,2,3\n0,1,2\n")
    for path in (f"{server}/rows.csv", str(tmp_path / "rows.csv")):
        with pytest.raises(DataError, match="the column name 'a' occurs twice"):
            open_source(path)
