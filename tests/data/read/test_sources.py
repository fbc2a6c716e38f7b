"""Raw rows are read unchanged and in order, in chunks that depend only on the file."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrkit.data.read import formats as readers
from ctrkit.data.read.options import ReadOptions
from ctrkit.data.read.sources import frame_source, open_source
from ctrkit.errors import DataError

IDS = ["18446744073709551617", "007", "9007199254740993"]


def _read(path: Path, options: ReadOptions | None = None) -> pl.DataFrame:
    return pl.concat(c.frame for c in open_source(path, options or ReadOptions()).chunks())


def test_ids_survive_csv_gz_and_parquet(tmp_path: Path) -> None:
    text = "id\n" + "\n".join(IDS) + "\n"
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(text.encode()))
    pl.DataFrame({"id": IDS}).write_parquet(tmp_path / "c.parquet")
    pl.DataFrame({"id": IDS}).write_ipc(tmp_path / "d.arrow")
    for name in ("a.csv", "b.csv.gz", "c.parquet", "d.arrow"):
        assert _read(tmp_path / name)["id"].to_list() == IDS
    pl.DataFrame({"id": [2**53 + 1]}).write_parquet(tmp_path / "e.parquet")
    assert _read(tmp_path / "e.parquet")["id"].to_list() == [2**53 + 1]


def test_missing_differs_from_quoted_empty_and_quotes_may_contain_newlines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n"",1\n,2\n"x\ny",3\n')
    assert _read(tmp_path / "a.csv")["a"].to_list() == ["", None, "x\ny"]


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_separator_is_detected(tmp_path: Path, separator: str) -> None:
    (tmp_path / "a.csv").write_text(f"a{separator}b\n1{separator}2\n")
    assert _read(tmp_path / "a.csv").rows() == [("1", "2")]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "empty"),
        (b"a,a\n1,2\n", "'a' occurs twice"),
        (b"a,b\n1,2\n3\n", "a.csv: expected 2 columns in line 3, got 1"),
        (b"a,b\n1,2\n3,4,5\n", "a.csv: expected 2 columns in line 3, got 3"),
        (b"a,b\n\xe9,2\n", "text_encoding=latin-1"),
    ],
)
def test_malformed_text_is_an_error_of_one_line(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(raw)
    with pytest.raises(DataError, match=message) as caught:
        _read(tmp_path / "a.csv")
    assert "\n" not in str(caught.value)


def test_latin_1_and_no_header(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xe9\t2\n")
    options = ReadOptions("latin-1", header=False, columns=("x", "y"))
    assert _read(tmp_path / "a.txt", options).rows() == [("é", "2")]


def test_chunks_ignore_row_groups(tmp_path: Path) -> None:
    pl.DataFrame({"i": range(1000)}).write_parquet(tmp_path / "a.parquet", row_group_size=70)
    chunks = list(open_source(tmp_path / "a.parquet").chunks(rows=300))
    assert [(c.first_row, c.frame.height) for c in chunks] == [
        (0, 300),
        (300, 300),
        (600, 300),
        (900, 100),
    ]
    assert pl.concat(c.frame for c in chunks)["i"].to_list() == list(range(1000))


def test_parquet_is_read_in_slices_of_one_row_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_MOST_ROWS", 128)
    monkeypatch.setattr(readers, "_FEW_CELLS", 999)
    frame = pl.DataFrame({"i": range(1000), "s": [f"v{i}" for i in range(1000)]})
    frame.write_parquet(tmp_path / "a.parquet")
    frames = list(readers.read_frames(str(tmp_path / "a.parquet"), "parquet", ReadOptions(), ["s"]))
    assert [f.height for f in frames] == [128] * 7 + [104]
    assert pl.concat(frames).equals(frame.select("s"))


def test_parquet_of_other_writers(tmp_path: Path) -> None:
    words = pa.array(["b", "a", None, "b"]).dictionary_encode()
    pq.write_table(pa.table({"w": words, "n": [1, 2, 3, 4]}), tmp_path / "a.parquet")
    assert _read(tmp_path / "a.parquet")["w"].cast(pl.String).to_list() == ["b", "a", None, "b"]
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(twice, tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b.parquet.*'?a'?"):
        open_source(tmp_path / "b.parquet")


def test_a_line_longer_than_a_block(tmp_path: Path) -> None:
    rows = [f"{i},{'x' * (2_500_000 if i == 70_000 else 20)}" for i in range(100_000)]
    (tmp_path / "a.csv").write_text("i,text\n" + "\n".join(rows) + "\n")
    found = _read(tmp_path / "a.csv")
    assert found["i"].to_list() == [str(i) for i in range(100_000)]
    assert found["text"].str.len_bytes().max() == 2_500_000


def test_hive_partitions_are_text_columns(tmp_path: Path) -> None:
    for value in ("a%20b", "__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / f"k={value}").mkdir()
        pl.DataFrame({"i": [1]}).write_parquet(tmp_path / f"k={value}" / "x.parquet")
    (tmp_path / "_SUCCESS.csv").write_text("")
    assert _read(tmp_path).sort("k").rows() == [(1, None), (1, "a b")]


def test_files_must_have_the_same_columns(tmp_path: Path) -> None:
    pl.DataFrame({"i": pl.Series([1], dtype=pl.Int32)}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"i": [2**40]}).write_parquet(tmp_path / "b.parquet")
    assert _read(tmp_path)["i"].to_list() == [1, 2**40]  # widths widen
    pl.DataFrame({"i": ["x"]}).write_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match=r"'i' is Int\d+ in .*a.parquet but String in .*c.parquet"):
        open_source(tmp_path)


def test_truncated_parquet_and_no_file_are_errors(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1abc")
    with pytest.raises(DataError, match=r"a.parquet"):
        open_source(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no such file"):
        open_source(tmp_path / "none.csv")


def test_memory_sources_and_fingerprints() -> None:
    one = frame_source({"a": [1, 2]})
    assert one.fingerprint() == frame_source([{"a": 1}, {"a": 2}]).fingerprint()
    assert one.fingerprint() != frame_source({"a": [1, 3]}).fingerprint()
    with pytest.raises(DataError, match="did you mean 'a"):
        list(frame_source({"abc": [1]}).chunks(["abd"]))


def test_held_rows_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "k=1").mkdir()
    (tmp_path / "k=2").mkdir()
    pl.DataFrame({"i": range(70)}).write_csv(tmp_path / "k=1" / "a.csv")
    pl.DataFrame({"i": range(30)}).write_csv(tmp_path / "k=2" / "b.csv")
    source = open_source(tmp_path)
    expected = [(c.file, c.first_row, c.frame.rows()) for c in source.chunks(rows=40)]
    assert source.hold(limit=10) is source
    held = source.hold()
    prints = (source.fingerprint(), source.likeness())
    assert (held.fingerprint(), held.likeness()) == prints
    for path in tmp_path.rglob("*.csv"):
        path.unlink()
    assert [(c.file, c.first_row, c.frame.rows()) for c in held.chunks(rows=40)] == expected
    assert held.hold() is held


def test_frames_are_at_least_as_long_as_asked_for(tmp_path: Path) -> None:
    frame = pl.DataFrame({"i": range(100), "j": range(100)})
    frame.write_ipc(tmp_path / "a.arrow", record_batch_size=9)
    chunks = list(open_source(tmp_path / "a.arrow").file_frames(0, ["j"], rows=20))
    assert [c.first_row for c in chunks] == [0, 27, 54, 81]
    assert pl.concat(c.frame for c in chunks).equals(frame.select("j"))


def test_copies_on_other_machines_share_a_likeness(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rows.csv").write_text("i\n1\n")
    one, other = (open_source(tmp_path / folder / "rows.csv") for folder in ("a", "b"))
    assert one.likeness() == other.likeness()
    assert one.fingerprint() != other.fingerprint()


def test_one_format_and_one_path_at_least(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no data file"):
        open_source(tmp_path)
    (tmp_path / "a.csv").write_text("i\n1\n")
    pl.DataFrame({"i": [1]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"one format; got .*a\.csv and .*b\.parquet"):
        open_source(tmp_path)
    assert len(open_source(tmp_path / "*.csv").files) == 1
