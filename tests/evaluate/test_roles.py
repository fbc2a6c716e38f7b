"""Training and scoring read the group, key and weight columns by the same functions."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import ctrkit
from ctrkit import jobs
from ctrkit.data.read.sources import frame_source
from ctrkit.data.split.plan import plan_split
from ctrkit.errors import CtrkitError
from ctrkit.evaluate import score_source

ROWS = 3000
USER = np.random.default_rng(1).integers(0, 60, ROWS)
KINDS = {
    "float": pl.Series(USER.astype(np.float64)),
    "float32 with NaN": pl.Series(np.where(USER % 7, USER, np.nan).astype(np.float32)),
    "decimal": pl.Series(USER).cast(pl.Decimal(10, 2)),
    "integer": pl.Series(USER),
    "integer with null": pl.Series([int(u) if u % 7 else None for u in USER]),
    "string": pl.Series([f"u{u}" for u in USER]),
    "string with null": pl.Series([f"u{u}" if u % 7 else None for u in USER]),
    "categorical": pl.Series([f"u{u}" for u in USER], dtype=pl.Categorical),
    "boolean": pl.Series(USER % 2 == 0),
    "date": pl.Series([dt.date(2026, 1, 1) + dt.timedelta(int(u)) for u in USER]),
    "datetime": pl.Series([dt.datetime(2026, 1, 1) + dt.timedelta(hours=int(u)) for u in USER]),
}
FAST = ["train.epochs=1", "train.batch_size=512", "train.evals_per_epoch=1", "data.cache=false"]


def clicks(user: pl.Series) -> pl.DataFrame:
    draw = np.random.default_rng(2)
    site = draw.integers(0, 20, ROWS)
    label = draw.random(ROWS) < 0.2 + 0.5 * (site % 2)
    weight = draw.random(ROWS).astype(np.float32)
    return pl.DataFrame(
        {"click": label.astype(np.int8), "site": site, "w": weight, "user": user.alias("user")}
    )


@pytest.mark.parametrize("kind", list(KINDS))
def test_scoring_reads_group_and_key_as_training_did(kind: str, tmp_path: Path) -> None:
    frame = clicks(KINDS[kind])
    frame.write_parquet(tmp_path / "clicks.parquet")
    roles = {"label": "click", "group": "user", "weight": "w"}
    roles |= {"key": "user"} if kind != "boolean" else {}  # two keys do not fill three splits
    data = tmp_path / "clicks.parquet"
    run = jobs.train(data, model="lr", out=tmp_path / "run", set=FAST, **roles).folder
    predictor = ctrkit.load(run)
    source = frame_source(frame)
    part = plan_split(source, predictor.schema).assign(next(source.chunks()))
    test = frame.filter(part == 2)
    test.write_parquet(tmp_path / "test.parquet")

    saved = pl.read_parquet(run / "predictions" / "test.parquet")
    scores = score_source(predictor, frame_source(test))
    assert scores.group is not None
    assert scores.weight is not None
    assert saved["group"].to_numpy().tolist() == scores.group.tolist()
    assert saved["weight"].to_numpy().tolist() == scores.weight.tolist()
    known = test["user"].fill_nan(None) if test["user"].dtype.is_float() else test["user"]
    assert len(np.unique(scores.group)) == known.n_unique()

    trained = json.loads((run / "record.json").read_text())["metrics"]["test"]
    judged = jobs.evaluate(run, tmp_path / "test.parquet")
    for name in ("groups", "groups_skipped"):
        assert judged[name] == trained[name]
    for name in ("auc", "logloss", "group_auc"):
        assert judged[name] == pytest.approx(trained[name], abs=1e-6)
    assert jobs.predict(run, tmp_path / "test.parquet", out=tmp_path / "p.parquet") == len(test)


@pytest.mark.parametrize("role", ["group", "key"])
def test_fractions_are_refused_before_anything_is_trained(role: str, tmp_path: Path) -> None:
    clicks(pl.Series(USER + 0.5)).write_parquet(tmp_path / "clicks.parquet")
    with pytest.raises(CtrkitError, match=r"column 'user'.*whole number.*\.5"):
        jobs.train(
            tmp_path / "clicks.parquet",
            label="click",
            model="lr",
            out=tmp_path / "run",
            set=FAST,
            **{role: "user"},
        )
