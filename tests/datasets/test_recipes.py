"""Every recipe reads the format of the original files; the fixtures are generated."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from ctrkit.config.files import load_config
from ctrkit.schema import Schema

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ("movielens_1m", "criteo", "avazu")
Prepare = Callable[..., int]


def load(name: str) -> ModuleType:
    """Import ``datasets/<name>/prepare.py``, which is a script and no package."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        f"{name}_prepare", ROOT / "datasets" / name / "prepare.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.path.copy()
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


def prepare(name: str, source: Path | None, out: Path, *flags: str) -> int:
    module = load(name)
    arguments = [] if source is None else ["--source", str(source)]
    return int(
        module.recipe.run(module.__doc__, module.prepare, [*arguments, "-o", str(out), *flags])
    )


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


# --- sources in the original formats -------------------------------------------------------------


def movielens(folder: Path, *, time: bool = False, packed: bool = False) -> Path:
    """Two users, three movies, one rating of each value and one more."""
    folder.mkdir()
    (folder / "users.dat").write_text("1::F::18::3::01234\n2::M::50::0::9-8\n", "latin-1")
    (folder / "movies.dat").write_text(
        "7::Caf\xe9, The (1927)::Drama\n"
        "8::Up: Down (1944)::Comedy|War\n"
        "9::Late (1999)::Children's|Comedy|Sci-Fi\n",
        "latin-1",
    )
    rows = [(1, 7, 1), (1, 8, 2), (1, 9, 3), (2, 7, 4), (2, 8, 5), (2, 9, 5)]
    end = "::978300760" if time else ""
    text = "".join(f"{u}::{m}::{r}{end}\n" for u, m, r in rows)
    if packed:
        with gzip.open(folder / "ratings_notime.dat.gz", "wt") as file:
            file.write(text)
    else:
        (folder / "ratings.dat").write_text(text)
    return folder


def criteo(folder: Path, rows: int = 40) -> Path:
    folder.mkdir()
    lines = []
    for i in range(rows):
        numbers = [str(i - 2) if j % 3 else "" for j in range(13)]
        texts = [f"{(i * 31 + j) % 97:08x}" if (i + j) % 5 else "" for j in range(26)]
        lines.append("\t".join([str(int(i % 4 == 0)), *numbers, *texts]))
    (folder / "train.txt").write_text("\n".join(lines) + "\n")
    return folder


def avazu(folder: Path, rows: int = 48) -> Path:
    folder.mkdir()
    names = list(load("avazu").TYPES)
    lines = [",".join(names)]
    for i in range(rows):
        # An id that no double holds, and an hour in each of two days: 2014-10-21 is a Tuesday.
        start = [str(10**19 + i), str(int(i % 6 == 0)), f"1410{21 + i // 24:02d}{i % 24:02d}"]
        lines.append(",".join([*start, *(f"{j}{i % 3:x}" for j in range(len(names) - 3))]))
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
    return folder


SOURCES = {"movielens_1m": movielens, "criteo": criteo, "avazu": avazu}


# --- what they write ------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_writes_what_its_schema_declares(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert prepare(name, SOURCES[name](tmp_path / "source"), out) == 0
    assert sorted(p.name for p in out.iterdir()) == ["data.parquet", "schema.toml"]
    schema = Schema.load(out / "schema.toml")
    frame = pl.read_parquet(out / "data.parquet")
    assert schema.label == "label"
    assert schema.effective_split.by == "random"
    assert set(schema.names) <= set(frame.columns)
    for field in schema.fields:
        dtype = frame.schema[field.name]
        expected = {"numeric": dtype.is_numeric(), "multi": dtype == pl.List(pl.String)}
        assert expected.get(field.kind, dtype == pl.String or dtype.is_integer()), field.name
    assert set(frame["label"].to_list()) == {0, 1}


@pytest.mark.parametrize("time", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_movielens_reads_both_rating_formats(time: bool, packed: bool, tmp_path: Path) -> None:
    source = movielens(tmp_path / "source", time=time, packed=packed)
    assert prepare("movielens_1m", source, tmp_path / "out") == 0
    frame = pl.read_parquet(tmp_path / "out" / "data.parquet")
    assert frame.to_dict(as_series=False) == {
        "label": [0, 0, 1, 1, 1],  # rating 3 is gone
        "user": [1, 1, 2, 2, 2],
        "movie": [7, 8, 7, 8, 9],
        "gender": ["F", "F", "M", "M", "M"],
        "age": [18, 18, 50, 50, 50],
        "occupation": [3, 3, 0, 0, 0],
        "zip": ["01234", "01234", "9-8", "9-8", "9-8"],
        "year": ["1919-1929", "1940s", "1919-1929", "1940s", "1999"],
        "genres": [
            ["Drama"],
            ["Comedy", "War"],
            ["Drama"],
            ["Comedy", "War"],
            ["Children's", "Comedy", "Sci-Fi"],
        ],
    }
    assert Schema.load(tmp_path / "out" / "schema.toml").group == "user"


def test_movielens_reads_the_zip_archive(tmp_path: Path) -> None:
    source = movielens(tmp_path / "source", time=True)
    with zipfile.ZipFile(tmp_path / "ml-1m.zip", "w") as archive:
        for path in source.iterdir():
            archive.write(path, f"ml-1m/{path.name}")
    assert prepare("movielens_1m", tmp_path / "ml-1m.zip", tmp_path / "zipped") == 0
    assert prepare("movielens_1m", source, tmp_path / "plain") == 0
    zipped, plain = (tmp_path / n / "data.parquet" for n in ("zipped", "plain"))
    assert zipped.read_bytes() == plain.read_bytes()


@pytest.mark.parametrize(
    ("title", "bucket"),
    [
        ("A (1919)", "1919-1929"),
        ("A (1929)", "1919-1929"),
        ("A (1930)", "1930s"),
        ("A (1969)", "1960s"),
        ("A (1970)", "1970"),
        ("2001 (Space) (2000)", "2000"),
        ("A", None),
    ],
)
def test_movielens_buckets_the_release_year(title: str, bucket: str | None) -> None:
    assert load("movielens_1m").release(title) == bucket


def test_criteo_keeps_missing_apart_from_zero(tmp_path: Path) -> None:
    assert prepare("criteo", criteo(tmp_path / "source"), tmp_path / "out") == 0
    frame = pl.read_parquet(tmp_path / "out" / "data.parquet")
    assert frame.height == 40
    assert frame["label"].sum() == 10
    assert frame["I1"].null_count() == 40
    assert frame["I2"].to_list()[:3] == [-2, -1, 0]
    assert frame["C1"].to_list()[:3] == [None, "0000001f", "0000003e"]


def test_avazu_drops_the_row_id_and_cuts_the_hour(tmp_path: Path) -> None:
    assert prepare("avazu", avazu(tmp_path / "source"), tmp_path / "out") == 0
    frame = pl.read_parquet(tmp_path / "out" / "data.parquet")
    assert "id" not in frame.columns
    assert frame["hour"].to_list() == [*range(24), *range(24)]
    assert frame["weekday"].to_list() == [1] * 24 + [2] * 24  # 0 is Monday
    assert str(frame["time"][25]) == "2014-10-22 01:00:00"
    assert frame["label"].sum() == 8


def test_gzip_equals_plain_text(tmp_path: Path) -> None:
    plain = avazu(tmp_path / "source") / "train.csv"
    packed = tmp_path / "train.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert prepare("avazu", plain, tmp_path / "a") == prepare("avazu", packed, tmp_path / "b") == 0
    a, b = (pl.read_parquet(tmp_path / n / "data.parquet") for n in "ab")
    assert a.equals(b)


def test_a_large_input_becomes_parts_in_order(tmp_path: Path) -> None:
    recipe, types = load("criteo").recipe, load("criteo").TYPES
    path = criteo(tmp_path / "source", rows=25) / "train.txt"
    batches = list(recipe.read_text(path, types, separator="\t", header=False))
    written = recipe.write_parts(batches, tmp_path, part=10)
    assert (written.rows, written.positives) == (25, 7)
    parts = sorted(p.name for p in tmp_path.glob("data-*.parquet"))
    assert parts == ["data-00000.parquet", "data-00001.parquet", "data-00002.parquet"]
    whole = pl.from_arrow(batches)
    assert isinstance(whole, pl.DataFrame)
    assert pl.read_parquet(tmp_path / "data-*.parquet").equals(whole)


# --- mistakes: one line, code 2, nothing half-written ---------------------------------------


def _ragged(path: Path, separator: str) -> None:
    lines = path.read_text().splitlines()
    lines[4] = lines[4].rpartition(separator)[0]
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("name", "file", "separator", "message"),
    [
        ("movielens_1m", "ratings.dat", "::", "line 5: expected 3 or 4 cells"),
        ("criteo", "train.txt", "\t", "Row #5: Expected 40 columns, got 39"),
        ("avazu", "train.csv", ",", "Expected 24 columns, got 23"),
    ],
)
def test_a_ragged_line_is_named(
    name: str,
    file: str,
    separator: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = SOURCES[name](tmp_path / "source")
    _ragged(source / file, separator)
    assert prepare(name, source, tmp_path / "out") == 2
    assert message in error_of(capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_missing_source_is_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(name, tmp_path / "nowhere", tmp_path / "out") == 2
    assert "nowhere" in error_of(capsys)
    (tmp_path / "empty").mkdir()
    assert prepare(name, tmp_path / "empty", tmp_path / "out") == 2
    assert "has none of" in error_of(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["criteo", "avazu"])
def test_without_a_source_the_error_names_the_download(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(name, None, tmp_path / "out") == 2
    assert "https://" in error_of(capsys)


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        (
            "movielens_1m",
            "ratings.dat",
            "1::7::1",
            "1::7::6",
            "a rating must be 1, 2, 3, 4 or 5; got '6'",
        ),
        (
            "movielens_1m",
            "ratings.dat",
            "1::7::1",
            "1::6::1",
            "movie '6' is not in users.dat or movies.dat",
        ),
        ("movielens_1m", "users.dat", "::18::", "::x::", "must be integers; got 'x'"),
        ("criteo", "train.txt", "1\t", "2\t", "row 1: the label must be 0 or 1; got 2"),
        ("criteo", "train.txt", "\t-2\t", "\tx\t", "'x'"),
        ("avazu", "train.csv", "id,click", "no,click", "is not the expected file"),
        ("avazu", "train.csv", "14102100", "2014-10-21", "hour must be YYMMDDHH; got '2014-10-21'"),
    ],
)
def test_a_wrong_cell_is_named(
    name: str,
    file: str,
    old: str,
    new: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = SOURCES[name](tmp_path / "source") / file
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode(), 1))
    assert prepare(name, tmp_path / "source", tmp_path / "out") == 2
    assert message in error_of(capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_a_truncated_archive_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = movielens(tmp_path / "source", packed=True) / "ratings_notime.dat.gz"
    path.write_bytes(path.read_bytes()[:-12])
    assert prepare("movielens_1m", tmp_path / "source", tmp_path / "out") == 2
    assert error_of(capsys)
    (tmp_path / "ml-1m.zip").write_bytes(b"PK no archive")
    assert prepare("movielens_1m", tmp_path / "ml-1m.zip", tmp_path / "out") == 2
    assert "zip" in error_of(capsys)


def test_an_empty_file_and_a_sample_under_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = criteo(tmp_path / "source")
    assert prepare("criteo", source, tmp_path / "out", "--full") == 2
    assert "40 rows; the full data set has 45,840,617" in error_of(capsys)
    (source / "train.txt").write_text("")
    assert prepare("criteo", source, tmp_path / "out") == 2
    assert error_of(capsys)
    assert not (tmp_path / "out").exists()


def test_force_replaces_a_data_set_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, source = tmp_path / "out", criteo(tmp_path / "source")
    assert prepare("criteo", source, out) == 0
    capsys.readouterr()
    assert prepare("avazu", avazu(tmp_path / "other"), out) == 2
    assert "--force" in error_of(capsys)
    assert prepare("avazu", tmp_path / "other", out, "--force") == 0
    assert "weekday" in pl.read_parquet(out / "data.parquet").columns
    capsys.readouterr()
    (out / "thesis.md").write_text("years of work")
    assert prepare("criteo", source, out, "--force") == 2
    assert "thesis.md" in error_of(capsys)
    assert (out / "thesis.md").exists()


def test_a_recipe_is_a_script(tmp_path: Path) -> None:
    script = ROOT / "datasets" / "avazu" / "prepare.py"
    command = [sys.executable, str(script), "--source", "nowhere", "-o", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: no file or folder 'nowhere': point --source at the data\n"


# --- what the repository ships --------------------------------------------------------------


def test_every_toml_file_parses() -> None:
    schemas = sorted((ROOT / "datasets").glob("*/schema.toml"))
    assert [p.parent.name for p in schemas] == sorted(RECIPES)
    for path in [*schemas, *(ROOT / "experiments").rglob("schema.toml")]:
        Schema.load(path)
    for path in (ROOT / "experiments").rglob("run.toml"):
        load_config(path)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("movielens_1m", {"categorical": 7, "multi": 1}),
        ("criteo", {"numeric": 13, "categorical": 26}),
        ("avazu", {"categorical": 23}),
    ],
)
def test_schemas_hold_the_fields_of_the_papers(name: str, kinds: dict[str, int]) -> None:
    schema = Schema.load(ROOT / "datasets" / name / "schema.toml")
    found = [field.kind for field in schema.fields]
    assert {kind: found.count(kind) for kind in set(found)} == kinds
    if name == "criteo":
        assert {f.transform for f in schema.fields if f.kind == "numeric"} == {"log2"}
        assert {f.min_count for f in schema.fields if f.kind == "categorical"} == {10}


# --- the real files -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "folder", "rows", "rate"),
    [("criteo", "criteo-sample", 10_000, 0.2182), ("avazu", "avazu-sample", 9_999, 0.1706)],
)
def test_real_samples(
    name: str, folder: str, rows: int, rate: float, shared_data: Path, tmp_path: Path
) -> None:
    assert prepare(name, shared_data / folder, tmp_path / "out") == 0
    label = pl.read_parquet(tmp_path / "out" / "data.parquet")["label"]
    assert len(label) == rows
    assert label.sum() / rows == pytest.approx(rate, abs=5e-5)


def test_real_movielens(shared_data: Path, tmp_path: Path) -> None:
    assert prepare("movielens_1m", shared_data / "movielens-1m", tmp_path / "out", "--full") == 0
    frame = pl.read_parquet(tmp_path / "out" / "data.parquet")
    assert frame.height == 739_012
    assert frame["label"].sum() / frame.height == pytest.approx(0.7784, abs=5e-5)
    assert sum(frame.null_count().row(0)) == 0
    assert frame["genres"].explode(empty_as_null=True).n_unique() == 18
    assert frame["year"].n_unique() == 36  # 1919-1929, four decades, 1970 to 2000
