"""Scores of one model: rows give the same ones however they come, or one line says why not."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from awkward_frames import columns, names, types
from for_all import for_all, one_line
from hypothesis import strategies as st

from ctrkit import jobs
from ctrkit.bundle import Predictor, load
from ctrkit.errors import CtrkitError

NATURAL = {
    "*": pl.String(),
    "^x.*$": pl.Int64(),
    "prediction": pl.Float64(),
    "v": pl.List(pl.String()),
    "a\nb": pl.Datetime("us"),
    "label": pl.Boolean(),
    "__index__": pl.Decimal(12, 2),
}
"""Fields of the model and the types that they were trained on."""
ROWS = 240


class Run(NamedTuple):
    """A trained run."""

    folder: Path
    predictor: Predictor


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("properties")
    draw = np.random.default_rng(0)
    tags = [draw.choice(["a", "b", "1"], draw.integers(0, 3)).tolist() for _ in range(ROWS)]
    frame = pl.DataFrame(
        {
            "*": draw.choice(["a", "b", "1", "true", "2024-01-31", "é", "", " ", "a,b"], ROWS),
            "^x.*$": draw.integers(0, 4, ROWS),
            "prediction": draw.choice([0.0, 1.0, 3.0, 0.5], ROWS),
            "v": pl.Series(tags, dtype=pl.List(pl.String)),
            "a\nb": [dt.datetime(2024, 1, day, 12) for day in draw.integers(1, 4, ROWS).tolist()],
            "label": draw.integers(0, 2, ROWS) == 1,
            "__index__": pl.Series(draw.integers(0, 5, ROWS)).cast(pl.Decimal(12, 2)),
            "key": range(ROWS),
            "click": draw.integers(0, 2, ROWS),
        }
    )
    frame.write_parquet(folder / "rows.parquet")
    options = {"categorical": ["a\nb", "__index__"], "model": "fm", "label": "click", "key": "key"}
    few = ["train.epochs=1", "data.cache=false", "model.dim=4"]
    jobs.train(folder / "rows.parquet", out=folder / "run", set=few, ignore=["key"], **options)
    return Run(folder / "run", load(folder / "run"))


@st.composite
def rows_to_score(draw: st.DrawFn) -> pl.DataFrame:
    """Return rows whose columns are absent, of another type, in any order, and more."""
    height, chosen = draw(st.sampled_from([0, 1, 2, 5])), []
    for name in draw(st.permutations(list(NATURAL))):
        how = draw(st.sampled_from(["natural", "natural", "natural", "absent", "other type"]))
        if how != "absent":
            dtypes = st.just(NATURAL[name]) if how == "natural" else types()
            chosen.append(draw(columns(height, dtypes)).alias(name))
    for name in draw(st.lists(names(), max_size=2, unique=True)):
        if name not in NATURAL:
            chosen.append(draw(columns(height)).alias(name))
    return pl.DataFrame(chosen)


def _scores(predictor: Predictor, rows: object) -> np.ndarray | CtrkitError:
    """Return the scores, which are probabilities, or the error, which is one line."""
    try:
        scores = predictor.predict(rows)
    except CtrkitError as error:
        return one_line(error)
    assert np.isfinite(scores).all()
    assert ((scores >= 0) & (scores <= 1)).all()
    return scores


def _same(scores: object, others: object) -> None:
    assert isinstance(scores, np.ndarray), scores
    assert isinstance(others, np.ndarray), others
    np.testing.assert_allclose(scores, others, rtol=0, atol=1e-6)


@for_all(30, 400, rows=rows_to_score())
def test_order_and_further_columns_change_nothing(run, rows):
    scores = _scores(run.predictor, rows)
    if isinstance(scores, CtrkitError):
        return
    assert len(scores) == rows.height
    fields = sorted(set(rows.columns) & set(NATURAL))
    if fields:
        _same(scores, _scores(run.predictor, rows[fields]))
    if rows.height > 1:
        single = [_scores(run.predictor, rows[i : i + 1]) for i in range(rows.height)]
        assert all(isinstance(score, np.ndarray) for score in single)
        _same(scores, np.concatenate(single))


@for_all(20, 280, rows=rows_to_score(), suffix=st.sampled_from([".csv", ".parquet", ".arrow"]))
def test_a_file_has_the_scores_of_its_rows(run, tmp_path, rows, suffix):
    path = tmp_path / f"rows{suffix}"
    if not _write(rows, path):
        return
    expected, error = _scores(run.predictor, rows), None
    try:
        count = jobs.predict(run.folder, path, out=tmp_path / "scores.parquet", force=True)
    except CtrkitError as caught:
        error = one_line(caught)
    if error is not None:
        assert str(path) in str(error) or "the rows must have some of" in str(error)
        assert isinstance(expected, CtrkitError) or suffix == ".csv", error
        return
    scores = pl.read_parquet(tmp_path / "scores.parquet")["prediction"].to_numpy()
    assert len(scores) == count
    if not isinstance(expected, CtrkitError):
        _same(scores, expected)


@for_all(10, 10, rows=rows_to_score())
def test_rows_in_memory_have_the_same_scores_in_every_form(run, rows):
    expected = _scores(run.predictor, rows)
    forms: list[object] = [rows.to_dicts(), rows.to_dict(as_series=False)]
    if not any("\0" in name for name in rows.columns):
        forms += [rows.to_arrow(), rows.to_pandas()]
    for form in forms:
        scores = _scores(run.predictor, form)
        if isinstance(expected, np.ndarray):  # a column of nulls alone may lose its type
            _same(scores, expected)


@for_all(
    15,
    160,
    key=columns(3),
    suffix=st.sampled_from([".csv", ".parquet"]),
    source=st.sampled_from([".parquet", ".arrow"]),
    safe=st.booleans(),
)
def test_keys_of_every_type_are_written_or_refused(run, tmp_path, key, suffix, source, safe):
    rows = pl.DataFrame([key.alias("key"), pl.Series("*", ["a", "b", "1"])])
    if not _write(rows, tmp_path / f"rows{source}"):
        return
    out = tmp_path / f"scores{suffix}"
    try:
        jobs.predict(run.folder, tmp_path / f"rows{source}", out=out, force=True, safe_csv=safe)
    except CtrkitError as error:
        one_line(error)
        return
    if suffix == ".parquet":
        written = pl.read_parquet(out)
        assert str(written["key"].to_list()) == str(key.to_list())  # NaN is not itself
    else:
        written = pl.read_csv(out, infer_schema=False)
        if key.dtype == pl.String and not safe:
            assert written["key"].fill_null("").to_list() == key.fill_null("").to_list()
    assert written.columns == ["key", "prediction"]
    assert written.height == 3


def _write(rows: pl.DataFrame, path: Path) -> bool:
    """Write rows to a file; return whether the format can hold them."""
    if path.suffix == ".csv":
        tags = rows.schema.get("v")
        if tags == pl.List(pl.String):
            lists = rows["v"].to_list()
            odd = any(not token or "|" in token for row in lists for token in row or [])
            if odd or [] in lists:
                return False
            rows = rows.with_columns(v=pl.col("v").list.join("|"))
        floats = [c for c in rows.get_columns() if c.dtype.is_float() and c.name != "prediction"]
        if any(c.name in NATURAL and c.is_nan().any() for c in floats):
            return False  # polars writes NaN, which is a text like any other
    try:
        if path.suffix == ".csv":
            rows.write_csv(path)
        elif path.suffix == ".parquet":
            rows.write_parquet(path)
        else:
            rows.write_ipc(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return False
    return bool(rows.width)
