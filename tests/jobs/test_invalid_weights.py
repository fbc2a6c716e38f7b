"""Invalid weights are refused by every verb that reads them, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ctrkit import jobs
from ctrkit.errors import CtrkitError, DataError
from ctrkit.testing.generated import planted_clicks

FAST = ["train.epochs=1", "train.batch_size=256", "train.evals_per_epoch=1"]
ROWS = 400
BAD = {
    "zero": (0.0, r"above 0 in some of the .*rows"),
    "negative": (-1.0, r"not negative.* got -1\.0 in row 7"),
    "nan": (float("nan"), r"finite.* got nan in row 7"),
    "infinite": (float("inf"), r"finite.* got inf in row 7"),
    "null": (None, r"finite.* got None in row 7"),
}


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return planted_clicks(ROWS, seed=3)[0]


@pytest.fixture(scope="module")
def run(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    path = write(folder, frame, np.ones(ROWS))
    return jobs.train(
        path, label="click", weight="w", model="lr", out=folder / "run", set=FAST
    ).folder


def write(folder: Path, frame: pl.DataFrame, weight: Any) -> Path:
    path = folder / "rows.parquet"
    frame.with_columns(pl.Series("w", weight, dtype=pl.Float64)).write_parquet(path)
    return path


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("verb", ["train", "encode", "rank", "evaluate", "features"])
def test_invalid_weights_are_refused(
    frame: pl.DataFrame, run: Path, tmp_path: Path, verb: str, kind: str
) -> None:
    value, message = BAD[kind]
    weight = [0.0] * ROWS if kind == "zero" else [1.0] * 7 + [value] + [1.0] * (ROWS - 8)
    path, out = write(tmp_path, frame, weight), tmp_path / "out"
    calls: dict[str, Callable[[], object]] = {
        "train": lambda: jobs.train(path, label="click", weight="w", out=out, set=FAST),
        "encode": lambda: jobs.encode(path, label="click", weight="w", out=out),
        "rank": lambda: jobs.rank(path, label="click", weight="w", out=out),
        "evaluate": lambda: jobs.evaluate(run, path),
        "features": lambda: jobs.search_features(path, label="click", weight="w", out=out),
    }
    with pytest.raises(DataError, match=f"weight 'w' must be .*{message}.*do not name a weight"):
        calls[verb]()


def test_the_label_is_refused_as_weight(frame: pl.DataFrame, tmp_path: Path) -> None:
    path = write(tmp_path, frame, np.ones(ROWS))
    for verb in (jobs.train, jobs.encode, jobs.rank, jobs.search_features):
        with pytest.raises(CtrkitError, match="the weight must not be the label 'click'"):
            verb(path, label="click", weight="click", out=tmp_path / "out")


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_without_weight_is_refused(frame: pl.DataFrame, tmp_path: Path, split: str) -> None:
    names = np.array(["train", "validation", "test", "train"])[np.arange(ROWS) % 4]
    frame = frame.with_columns(pl.Series("part", names))
    path = write(tmp_path, frame, np.where(names == split, 0.0, 1.0))
    schema = tmp_path / "schema.toml"
    schema.write_text(
        'label = "click"\nweight = "w"\n[split]\nby = "column"\ncolumn = "part"\n'
        '[fields.user]\nkind = "categorical"\n'
    )
    with pytest.raises(DataError, match=f"above 0 in some of the {split} rows"):
        jobs.encode(path, schema=schema, out=tmp_path / "out")


@pytest.mark.parametrize("constant", [1e-20, 0.1, 1e10, 1e30])
def test_a_constant_weight_trains_the_same_model(
    frame: pl.DataFrame, run: Path, tmp_path: Path, constant: float
) -> None:
    path = write(tmp_path, frame, np.full(ROWS, constant))
    jobs.train(path, label="click", weight="w", model="lr", out=tmp_path / "run", set=FAST)
    first, second = (
        pl.read_parquet(folder / "predictions" / "test.parquet")["logit"].to_numpy()
        for folder in (run, tmp_path / "run")
    )
    assert np.abs(first - second).max() < 1e-4
