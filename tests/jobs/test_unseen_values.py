"""Scoring warns of fields whose values are mostly unseen, unlike those of validation."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrkit import jobs
from ctrkit.bundle import load
from ctrkit.data.encode.unseen import UnseenTally
from ctrkit.data.read.sources import frame_source
from ctrkit.data.store.batch import Encoded
from ctrkit.errors import DataError
from ctrkit.layout import Layout, LayoutField

WARNING = "far more values are unseen than in validation"


def _frame(spelling: str = "{}") -> pl.DataFrame:
    rng = np.random.default_rng(0)
    sites = rng.integers(0, 20, 900)
    return pl.DataFrame(
        {
            "site": [spelling.format(f"s{site}") for site in sites],
            "flag": sites % 2 == 0,
            "click": rng.integers(0, 2, 900),
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unseen")
    _frame().write_parquet(folder / "rows.parquet")
    options = ["train.epochs=1", "data.cache=false"]
    jobs.train(folder / "rows.parquet", label="click", model="lr", out=folder / "run", set=options)
    return folder / "run"


def test_the_run_holds_the_unseen_share_of_validation(run: Path) -> None:
    unseen = json.loads((run / "dataset.json").read_text())["unseen"]
    assert unseen == {"site": 0.0, "flag": 0.0}


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
@pytest.mark.parametrize("spelling", ["{}", "{}x"])
def test_warns_of_other_spellings_alone(
    run: Path, tmp_path: Path, verb: str, spelling: str, caplog: pytest.LogCaptureFixture
) -> None:
    _frame(spelling).write_csv(tmp_path / "rows.csv")
    if verb == "predict":
        jobs.predict(run, tmp_path / "rows.csv", out=tmp_path / "out.csv")
    else:
        jobs.evaluate(run, tmp_path / "rows.csv")
    warned = [text for text in caplog.messages if WARNING in text]
    expected = [f"{WARNING}: 'site' 100% (validation 0%)"] if spelling != "{}" else []
    assert [text.split(";")[0] for text in warned] == expected


def test_earlier_runs_do_not_warn(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = tmp_path / "old"
    shutil.copytree(run, old)
    facts = json.loads((old / "dataset.json").read_text())
    del facts["unseen"]
    (old / "dataset.json").write_text(json.dumps(facts))
    (old / "checksums.json").unlink()
    _frame("{}x").write_csv(tmp_path / "rows.csv")
    jobs.predict(old, tmp_path / "rows.csv", out=tmp_path / "out.csv")
    assert WARNING not in caplog.text


@pytest.mark.parametrize(
    ("present", "unseen", "validation", "warns"),
    [
        (1000, 500, 0.0, True),
        (1000, 100, 0.0, False),
        (1000, 1000, 0.9, False),
        (1000, 900, 0.5, True),
        (10, 10, 0.0, False),
        (20, 20, 0.0, True),
        (0, 0, 0.0, False),
    ],
)
def test_shares_are_judged_by_margin_and_error(
    present: int, unseen: int, validation: float, warns: bool
) -> None:
    layout = Layout((LayoutField("a", "categorical", 5), LayoutField("m", "multi", 5)), {})
    tally = UnseenTally(layout)
    codes = np.array([0] * 7 + [1] * unseen + [3] * (present - unseen), np.uint32)[:, None]
    numbers = np.empty((len(codes), 0), np.float32)
    tally.add(Encoded(codes, numbers, ((codes[:, 0], np.ones(len(codes), np.int64)),)))
    assert tally.shares() == ({"a": unseen / present, "m": unseen / present} if present else {})
    assert bool(tally.notice({"a": validation})) == warns
    assert tally.notice({}) == ""


def test_a_header_row_alone_gives_an_empty_file(run: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("site,flag\n")
    for suffix in ("csv", "parquet"):
        out = tmp_path / f"out.{suffix}"
        assert jobs.predict(run, tmp_path / "rows.csv", out=out) == 0
        read = pl.read_csv if suffix == "csv" else pl.read_parquet
        assert (read(out).height, read(out).columns) == (0, ["prediction"])


def test_a_path_is_predicted_as_its_rows(run: Path, tmp_path: Path) -> None:
    _frame().write_csv(tmp_path / "rows.csv")
    predictor = load(run)
    expected = predictor.predict(_frame())
    for path in (tmp_path / "rows.csv", str(tmp_path / "rows.csv"), tmp_path):
        np.testing.assert_array_equal(predictor.predict(path), expected)


def test_a_key_named_as_the_scores_is_an_error_of_one_line(run: Path, tmp_path: Path) -> None:
    predictor = load(run)
    predictor.schema = replace(predictor.schema, key="prediction")
    source = frame_source(_frame().with_columns(prediction=pl.lit(1)))
    with pytest.raises(DataError, match="the key column must not be named 'prediction'"):
        predictor.predict_source(source, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("verb", ["predict", "evaluate", "explain", "python"])
def test_warns_of_columns_that_the_data_does_not_have(
    run: Path, tmp_path: Path, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rows.csv"
    _frame().rename({"site": "Site"}).write_csv(path)
    if verb == "predict":
        jobs.predict(run, path, out=tmp_path / "out.csv")
    elif verb == "evaluate":
        jobs.evaluate(run, path)
    elif verb == "explain":
        jobs.explain(run, path, out=tmp_path / "explanation")
    else:
        load(run).predict(path)
    assert caplog.messages == [
        "the data has no column 'site': 1 of the model's 2 fields are missing in every row; "
        "did you mean 'Site'?"
    ]
