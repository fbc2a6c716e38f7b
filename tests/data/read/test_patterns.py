"""No name of a folder, file or column is taken for a pattern."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from ctrkit.data.columns.groups import hash_ids
from ctrkit.data.columns.labels import label_array
from ctrkit.data.columns.text import to_text
from ctrkit.data.columns.times import TimeColumn
from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.infer import Overrides, infer_schema
from ctrkit.data.read.sources import frame_source, open_source
from ctrkit.schema import Field, Schema

NAMES = ["run[1]", "run*", "run?", "[!a]", "{a,b}", "a=1"]
COLUMNS = ["*", "^a.*$", "ab", "^.*$"]


def _encoder(value: str) -> Encoder:
    schema = Schema((Field("v", "categorical"),))
    counts = Counts(schema)
    counts.update(pl.DataFrame({"v": [value] * 3}))
    return Encoder.fit(schema, counts)


@pytest.mark.parametrize("name", NAMES)
def test_an_encoder_is_read_from_its_own_folder(tmp_path: Path, name: str) -> None:
    for other in ("run1", "run2", "a", "b"):
        _encoder("other").save(tmp_path / other)
    _encoder("own").save(tmp_path / name)
    assert Encoder.load(tmp_path / name) == _encoder("own")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".arrow"])
def test_data_that_exists_is_no_pattern(tmp_path: Path, name: str, suffix: str) -> None:
    for folder, value in ((name, "own"), ("run1", "other"), ("a", "other")):
        (tmp_path / folder).mkdir()
        frame = pl.DataFrame({"v": [value]})
        for stem in (name, "run1"):
            path = tmp_path / folder / f"{stem}{suffix}"
            if suffix == ".csv":
                frame.write_csv(path)
            elif suffix == ".parquet":
                frame.write_parquet(path)
            else:
                frame.write_ipc(path)
    folder = tmp_path / name
    for path, files in ((folder / f"{name}{suffix}", 1), (folder, 2), (folder / f"*{suffix}", 2)):
        source = open_source(path)
        assert len(source.files) == files
        assert {v for c in source.chunks(["v"]) for v in c.frame["v"]} == {"own"}


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".arrow"])
def test_columns_with_names_like_patterns_are_columns(tmp_path: Path, suffix: str) -> None:
    frame = pl.DataFrame({name: [f"{i}{name}", None, "x"] for i, name in enumerate(COLUMNS)})
    path = tmp_path / f"rows{suffix}"
    write = {".csv": frame.write_csv, ".parquet": frame.write_parquet, ".arrow": frame.write_ipc}
    write[suffix](path)
    source = open_source(path)
    for name in COLUMNS:
        (chunk,) = source.chunks([name])
        assert chunk.frame.equals(frame[[name]])
    schema, _ = infer_schema(source, Overrides(ignore=("^a.*$",), numeric=()))
    assert schema.names == ["*", "ab", "^.*$"]
    counts = Counts(schema)
    counts.update(frame)
    encoder = Encoder.fit(schema, counts)
    codes = encoder.encode(frame[schema.names]).codes
    for column, name in zip(codes.T, schema.names, strict=True):
        plain = Counts(Schema((Field("v", "categorical"),)))
        plain.update(frame[[name]].rename({name: "v"}))
        one = Encoder.fit(plain.schema, plain).encode(frame[[name]].rename({name: "v"}))
        assert column.tolist() == one.codes[:, 0].tolist()
    ids = frame["^.*$"]
    assert hash_ids(ids).to_list() == hash_ids(ids.alias("v")).to_list()
    assert to_text(pl.Series("*", ["3.0"])).to_list() == ["3"]
    times = pl.DataFrame({"*": ["2024-01-31T00:00+01:00"], "^.*$": ["2024-01-30 23:00"]})
    first, second = (TimeColumn.of(frame_source(times), n).read(times) for n in times.columns)
    assert first.tolist() == second.tolist()


@pytest.mark.parametrize(
    "field",
    [
        Field("^x.*$", "categorical"),
        Field("^x.*$", "categorical", encoding="hash"),
        Field("^x.*$", "numeric"),
        Field("^x.*$", "numeric", encoding="buckets", transform="quantile"),
        Field("^x.*$", "multi"),
    ],
)
def test_a_column_of_any_type_may_look_like_a_pattern(field: Field) -> None:
    plain = replace(field, name="v")
    for values in ([1.0, None, 3.0], ["1.0", None, "3"], [True, None, False], [["1"], None, []]):
        if field.kind != "multi" and isinstance(values[0], list):
            continue
        codes = []
        for f in (field, plain):
            frame, schema = pl.DataFrame({f.name: values}), Schema((f,))
            counts = Counts(schema)
            counts.update(frame)
            codes.append(Encoder.fit(schema, counts).encode(frame))
        first, second = codes
        assert first.codes.tolist() == second.codes.tolist()
        assert str(first.numbers) == str(second.numbers)
        assert [b[0].tolist() for b in first.bags] == [b[0].tolist() for b in second.bags]


def test_roles_may_look_like_patterns() -> None:
    frame = pl.DataFrame({"^x.*$": ["true", "false"]})
    schema = Schema((Field("a", "numeric"),), label="^x.*$")
    assert label_array(frame, schema).tolist() == [1, 0]
    assert hash_ids(pl.Series("^x.*$", [1.0, None])).null_count() == 1
