"""Text files: line breaks in quotes, columns without a name, first bytes, header rows alone."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from ctrkit.data.infer import Overrides, infer_schema
from ctrkit.data.read import text
from ctrkit.data.read.options import ReadOptions
from ctrkit.data.read.sources import frame_source, open_source
from ctrkit.errors import DataError


def _rows(path: Path, encoding: str = "utf-8") -> pl.DataFrame:
    source = open_source(path, ReadOptions(text_encoding=encoding))
    chunks = [c.frame for c in source.chunks()]
    return pl.concat(chunks) if chunks else pl.DataFrame(schema=source.columns)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
@pytest.mark.parametrize("compressed", [False, True])
def test_line_breaks_in_quotes_are_kept_at_every_alignment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, compressed: bool
) -> None:
    monkeypatch.setitem(text._open.__kwdefaults__, "block", 64)
    path = tmp_path / ("rows.csv.gz" if compressed else "rows.csv")
    for pad in range(64 if encoding == "utf-8" and not compressed else 16):
        rows = [("x" * pad, "é"), *((f"a\r\nb{i}\r\n", f"\r\nc{i}\r") for i in range(30))]
        content = "u,v\r\n" + "".join(f'"{u}","{v}"\r\n' for u, v in rows)
        data = content.encode(encoding)
        path.write_bytes(gzip.compress(data) if compressed else data)
        assert _rows(path, encoding).rows() == rows, pad


def test_a_carriage_return_at_the_end_of_a_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(text._open.__kwdefaults__, "block", 8)
    for rows in range(1, 9):
        (tmp_path / "rows.csv").write_bytes(b"u,v\r" + b"1,2\r" * rows)
        assert _rows(tmp_path / "rows.csv").rows() == [("1", "2")] * rows


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_utf_16_and_gzip_are_recognised_by_their_first_bytes(
    tmp_path: Path, encoding: str, compress: type[bytes]
) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    path = tmp_path / "rows.csv"
    path.write_bytes(compress(f"{mark}u;v\né;2\n".encode(encoding)))
    assert _rows(path).rows(named=True) == [{"u": "é", "v": "2"}]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (",a,b\n0,x,1\n1,y,2\n", ["a", "b"]),
        ("a,b,\nx,1,\ny,2,\n", ["a", "b"]),
        (",a,b,,\n0,x,1,,\n1,y,2,,\n", ["a", "b"]),
    ],
)
def test_columns_without_a_name_are_left_out(
    tmp_path: Path, content: str, names: list[str]
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(content)
    assert _rows(path).rows(named=True) == [{"a": "x", "b": "1"}, {"a": "y", "b": "2"}]
    assert infer_schema(open_source(path), Overrides())[0].names == names
    assert list(frame_source({"": [1], "a": [2]}).columns) == ["a"]


def test_a_file_without_any_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(",\n1,2\n")
    with pytest.raises(DataError, match="no column has a name; give the file a header row"):
        open_source(tmp_path / "rows.csv")


def test_a_header_row_alone_has_columns_and_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n")
    assert _rows(path).rows() == []
    with pytest.raises(DataError, match="the data has no rows"):
        infer_schema(open_source(path), Overrides())
    (tmp_path / "more.csv").write_text("a,b\n1,2\n")
    assert _rows(tmp_path).rows() == [("1", "2")]
