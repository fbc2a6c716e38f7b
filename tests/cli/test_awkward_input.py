"""Awkward files, names and options: the right result, or one line that helps."""

from __future__ import annotations

import json

import polars as pl
import pytest
from command_line import fails_in_one_line

from ctrkit.errors import SchemaError
from ctrkit.schema import ROLE_COLUMNS, Field, Schema


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00", "is a PNG image"),
        ("x.csv", b"PK\x03\x04\x14\x00\x06\x00\x08\x00", "is a zip file (an Excel workbook"),
        ("x.csv", b"PAR1\x15\x04\x15\x00", "is a parquet file"),
        ("x.csv", b"<!DOCTYPE html><html><body>404</body></html>", "is an HTML or XML page"),
        ("x.json", b'[{"click": 1, "site": "a"}]', "is JSON"),
        ("x.txt", b'{"click": 1}\n{"click": 0}\n', "is JSON"),
        ("x.bin", b"click\x00\xff\xfe\x80\x81abcdefgh", "is a binary file"),
        ("x.csv", "click,site\n1,a\n".encode("utf-16-le"), "data.text_encoding=utf-16-le"),
        ("passwd", b"root:x:0\nroot, Inc:x:1\n", "data.separator=':'"),
    ],
)
@pytest.mark.parametrize("verb", ["schema", "train"])
def test_a_file_that_is_no_data_is_recognised(ctrkit, tmp_path, verb, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    out = ["-o", tmp_path / "out"]
    fails_in_one_line(ctrkit(verb, path, "--label", "click", *out), str(path), words)


def test_a_report_of_no_run_says_so_whatever_is_in_the_way(ctrkit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.html").write_text("years of work")
    fails_in_one_line(ctrkit("report", "nothere"), "'nothere' is not a finished run")


def _clicks(users: int, rows: int = 3_000) -> pl.DataFrame:
    number = pl.int_range(rows, eager=True)
    return pl.DataFrame(
        {
            "user": number % users,
            "site": (number // 7 % 5).cast(pl.String) + "s",
            "click": (number * 7919 % 11 < 4).cast(pl.Int8),
        }
    )


def test_a_key_of_few_values_is_reported(ctrkit, tmp_path):
    _clicks(9).write_parquet(tmp_path / "few.parquet")
    _clicks(500).write_parquet(tmp_path / "many.parquet")
    _clicks(3).write_parquet(tmp_path / "three.parquet")
    few, many, three = (
        ctrkit("encode", tmp_path / f"{n.name}.parquet", "--label=click", "--key=user", "-o", n)
        for n in (tmp_path / "few", tmp_path / "many", tmp_path / "three")
    )
    assert "of the rows, not 10.0%: the key 'user' has few values" in few.err
    assert "few values" not in many.err
    fails_in_one_line(three, "the split by random of the key 'user' leaves no rows for")


def test_a_time_of_few_values_is_reported(ctrkit, tmp_path):
    even = _clicks(500).with_columns(at=pl.int_range(3_000) // 10)
    few = even.with_columns(at=pl.Series([0] * 1_500 + [1] * 1_490 + [2] * 10))
    for name, rows in (("even", even), ("few", few)):
        rows.write_parquet(tmp_path / f"{name}.parquet")
        command = ("encode", tmp_path / f"{name}.parquet", "--label=click", "--time=at")
        assert (
            "the time 'at' has few values" in ctrkit(*command, "-o", tmp_path / f"{name}-e").err
        ) == (name == "few")


def test_dates_with_a_time_of_day_are_named_in_plain_words(ctrkit, tmp_path):
    when = pl.Series(["2024-01-31 12:30"] * 60)
    rows = _clicks(5, 60).with_columns(
        when=when, at=when.str.to_datetime(), wait=pl.duration(days=1)
    )
    rows.write_parquet(tmp_path / "rows.parquet")
    err = ctrkit("schema", tmp_path / "rows.parquet", "--label", "click").err
    for name in ("when", "at"):
        assert (
            f"column '{name}' holds dates with a time of day and is left out; use it as the time "
            f"of a split: --time {name}, or declare it: --categorical {name}" in err
        )
    assert "column 'wait' holds values of type duration and is left out" in err
    assert "time_unit" not in err


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_named_like_patterns_are_ranked(ctrkit, tmp_path, suffix):
    rows, names = _clicks(50), {"user": "^x.*$", "site": "*"}
    for name, renamed in (("plain", {}), ("patterns", names)):
        frame = rows.rename(renamed)
        path = tmp_path / f"{name}{suffix}"
        frame.write_csv(path) if suffix == ".csv" else frame.write_parquet(path)
        args = ("--label", "click", "--order", "2", "--noise-controls", "-o", tmp_path / name)
        assert ctrkit("rank", path, *args).code == 0
    plain, patterns = (
        json.loads((tmp_path / name / "rank.json").read_text())["features"]
        for name in ("plain", "patterns")
    )
    assert [[names.get(m, m) for m in f["members"]] for f in plain] == [
        f["members"] for f in patterns
    ]
    assert [f["gain"] for f in plain] == [f["gain"] for f in patterns]


@pytest.mark.parametrize(
    "args", [["train"], ["rank"], ["encode"], ["search", "params"], ["search", "features"]]
)
def test_a_negative_seed_is_one_line(ctrkit, clicks, tmp_path, args):
    out = tmp_path / "out"
    result = ctrkit(*args, clicks, "--label", "click", "--seed", "-1", "-o", out)
    fails_in_one_line(result, "seed must be", "-1")
    fails_in_one_line(
        ctrkit("demo", "--seed", "-1", "-o", out), "seed must not be negative; got -1"
    )
    assert not out.exists()


@pytest.mark.parametrize("name", ROLE_COLUMNS)
def test_a_field_must_not_have_the_name_of_a_role_in_encoded_rows(name):
    with pytest.raises(SchemaError, match=rf"field '{name}' has a name that encoded rows need"):
        Schema((Field(name, "categorical"),), label="click")


def test_a_field_must_not_have_the_name_of_a_noise_control(ctrkit, tmp_path):
    rows = _clicks(5).rename({"user": "noise control: constant"})
    rows.write_parquet(tmp_path / "rows.parquet")
    result = ctrkit("rank", tmp_path / "rows.parquet", "--label", "click", "-o", tmp_path / "out")
    fails_in_one_line(result, "field 'noise control: constant' has a name that noise controls need")


def test_a_last_batch_of_one_row_is_trained_under_batch_normalisation(ctrkit, tmp_path):
    rows = _clicks(300, 300)
    rows = rows.with_columns(part=pl.Series(["train"] * 257 + ["validation"] * 21 + ["test"] * 22))
    rows.write_parquet(tmp_path / "rows.parquet")
    split = '[split]\nby = "column"\ncolumn = "part"\n'
    fields = '[fields.user]\nkind = "categorical"\n[fields.site]\nkind = "categorical"\n'
    (tmp_path / "s.toml").write_text(f'format = 1\nlabel = "click"\n{split}{fields}')
    few = ("--set=train.epochs=1", "--set=train.batch_size=64", "--set=model.mlp.norm=batch")
    args = ("--schema", tmp_path / "s.toml", "--model", "deepfm", *few, "-o", tmp_path / "run")
    assert ctrkit("train", tmp_path / "rows.parquet", *args).code == 0  # 4 x 64 rows, and one
    out = tmp_path / "scores.parquet"
    _clicks(1, 1).write_parquet(tmp_path / "one.parquet")
    assert ctrkit("predict", tmp_path / "run", tmp_path / "one.parquet", "-o", out).code == 0
    assert pl.read_parquet(out)["prediction"].is_finite().all()
