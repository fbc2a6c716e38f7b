"""The command line from raw file to run folder."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
from command_line import FAST, fails_in_one_line

from ctrkit.cli.app import MALLOC

PLUGIN = Path(__file__).parents[1] / "plugins" / "my_cross.py"


def test_train_evaluate_explain_predict_report(ctrkit, clicks, tmp_path):
    run = tmp_path / "run"
    code, out, err = ctrkit("train", clicks, "--label", "click", "-o", run, *FAST)
    assert code == 0, err
    assert "test" in out
    assert str(run) in out.replace("\n", "")
    for name in (
        "config.json",
        "schema.toml",
        "layout.json",
        "encoder",
        "model.safetensors",
        "metrics.jsonl",
        "record.json",
        "report.html",
        "predictions",
    ):
        assert (run / name).exists(), name
    assert not (run / "checkpoint").exists()
    record = json.loads((run / "record.json").read_text())
    assert 0.4 < record["metrics"]["test"]["auc"] <= 1

    code, out, err = ctrkit("evaluate", run, clicks, "-o", tmp_path / "metrics.html")
    assert code == 0, err
    page = (tmp_path / "metrics.html").read_text(encoding="utf-8")
    assert "Calibration" in page
    assert "logloss" in page
    code, out, err = ctrkit("evaluate", run, clicks, "-o", tmp_path / "metrics.json")
    assert code == 0, err
    assert json.loads((tmp_path / "metrics.json").read_text())["rows"] == 3_000

    code, out, err = ctrkit("predict", run, clicks, "-o", tmp_path / "scores.parquet")
    assert code == 0, err
    scores = pl.read_parquet(tmp_path / "scores.parquet")
    assert scores.height == 3_000
    assert scores["prediction"].is_between(0, 1).all()
    assert ctrkit("predict", run, clicks, "-o", tmp_path / "scores.parquet")[0] == 2

    code, out, err = ctrkit("explain", run, clicks, "--rows", "500", "--top", "3")
    assert code == 0, err
    assert (run / "explain.json").is_file()

    code, out, err = ctrkit("report", run, "-o", tmp_path / "page.html")
    assert code == 0, err
    assert "<html" in (tmp_path / "page.html").read_text()


def test_a_finished_run_is_kept_and_another_run_needs_force(ctrkit, clicks, tmp_path):
    run = tmp_path / "run"
    assert ctrkit("train", clicks, "--label", "click", "--model", "lr", "-o", run, *FAST)[0] == 0
    first = (run / "record.json").read_bytes()
    code, _, err = ctrkit("train", clicks, "--label", "click", "--model", "lr", "-o", run, *FAST)
    assert code == 0
    assert "already" in err
    assert (run / "record.json").read_bytes() == first
    other = ("train", clicks, "--label", "click", "--model", "fm", "-o", run, *FAST)
    fails_in_one_line(ctrkit(*other), "another run", "--force")
    assert (run / "record.json").read_bytes() == first
    assert ctrkit(*other, "--force")[0] == 0
    assert json.loads((run / "config.json").read_text())["model"]["name"] == "fm"


def test_the_same_command_gives_the_same_weights(ctrkit, clicks, tmp_path):
    for name in ("a", "b"):
        assert ctrkit("train", clicks, "--label", "click", "-o", tmp_path / name, *FAST)[0] == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b")]
    assert weights[0] == weights[1]


def test_a_plugin_is_listed_trained_and_checked(ctrkit, clicks, tmp_path):
    run = tmp_path / "run"
    code, out, _ = ctrkit("list", "interactions", "--plugin", PLUGIN)
    assert code == 0
    assert "my_cross" in out
    code, _, err = ctrkit(
        "train",
        clicks,
        "--label",
        "click",
        "--plugin",
        PLUGIN,
        "--model",
        "my_cross",
        "--set",
        "model.my_cross.low_rank=4",
        "-o",
        run,
        *FAST,
    )
    assert code == 0, err
    config = json.loads((run / "config.json").read_text())
    assert config["model"]["parameters"]["my_cross"]["low_rank"] == 4
    fails_in_one_line(ctrkit("predict", run, clicks, "-o", tmp_path / "p.csv"), "--trust-plugins")
    assert ctrkit("predict", run, clicks, "-o", tmp_path / "p.csv", "--trust-plugins")[0] == 0
    code, out, _ = ctrkit("check", PLUGIN)
    assert code == 0, out
    fails_in_one_line(
        ctrkit(
            "train",
            clicks,
            "--label",
            "click",
            "--plugin",
            PLUGIN,
            "--model",
            "my_cross",
            "--set",
            "model.my_cross.low_rnk=4",
            "-o",
            tmp_path / "x",
        ),
        "low_rnk",
        "low_rank",
    )
    assert not (tmp_path / "x").exists()


def test_a_constant_and_an_empty_field_give_warnings(ctrkit, tmp_path):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "click": rng.integers(0, 2, 400),
            "site": rng.integers(0, 9, 400).astype(str),
            "same": ["x"] * 400,
            "none": pl.Series([None] * 400, dtype=pl.String),
        }
    )
    frame.write_parquet(tmp_path / "d.parquet")
    run = tmp_path / "run"
    code, _, err = ctrkit("train", tmp_path / "d.parquet", "--label", "click", "-o", run, *FAST)
    assert code == 0, err
    assert "same" in err
    assert "none" in err


def test_csv_and_parquet_of_the_same_rows_give_the_same_model(ctrkit, tmp_path):
    rng = np.random.default_rng(0)
    n = 1_000
    frame = pl.DataFrame(
        {
            "click": rng.integers(0, 2, n),
            "user": 2**60 + rng.integers(0, 50, n),
            "site": rng.choice(["a", "b", "c"], n),
        }
    )
    frame.write_parquet(tmp_path / "d.parquet")
    frame.write_csv(tmp_path / "d.csv")
    for name in ("d.parquet", "d.csv"):
        run = tmp_path / f"run-{name}"
        assert ctrkit("train", tmp_path / name, "--label", "click", "-o", run, *FAST)[0] == 0
    weights = [
        (tmp_path / f"run-{n}" / "model.safetensors").read_bytes() for n in ("d.parquet", "d.csv")
    ]
    assert weights[0] == weights[1]


def test_train_accepts_the_schema_that_schema_writes(ctrkit, clicks, tmp_path):
    path = tmp_path / "schema.toml"
    assert ctrkit("schema", clicks, "--label", "click", "-o", path)[0] == 0
    run = tmp_path / "run"
    assert ctrkit("train", clicks, "--schema", path, "--model", "lr", "-o", run, *FAST)[0] == 0
    assert (run / "schema.toml").read_text() == path.read_text()


def test_encode_writes_shards(ctrkit, clicks, tmp_path):
    code, _out, err = ctrkit("encode", clicks, "--label", "click", "-o", tmp_path / "shards")
    assert code == 0, err
    assert list((tmp_path / "shards").rglob("*.arrow"))


def test_rank_writes_and_reports_a_narrowed_schema(ctrkit, clicks, tmp_path):
    out = tmp_path / "rank"
    code, text, err = ctrkit(
        "rank",
        clicks,
        "--label",
        "click",
        "--ignore",
        "time",
        "--order",
        2,
        "--3mr",
        4,
        "--missing",
        "NA",
        "-o",
        out,
        "--no-report",
    )
    assert code == 0, err
    assert "site x device" in text
    assert "pairs: " in text
    assert f"schema  {out / 'schema.toml'}" in text
    assert not (out / "report.html").exists()
    whole = json.loads((out / "rank.json").read_text(encoding="utf-8"))
    assert len(whole["facts"]["three_mr"]) >= 2
    assert "keeps" in text


def test_the_allocator_returns_memory_soon_unless_configured(ctrkit, monkeypatch):
    name, setting = MALLOC
    monkeypatch.delenv(name, raising=False)
    ctrkit("list", "models")
    assert os.environ[name] == setting
    monkeypatch.setenv(name, "narenas:1")
    ctrkit("list", "models")
    assert os.environ[name] == "narenas:1"


def test_explain_writes_into_the_run_of_a_search_folder(ctrkit, clicks, run_folder, tmp_path):
    search = tmp_path / "search"
    shutil.copytree(run_folder, search / "run")
    for name in ("search.json", "record.json"):  # a finished search has both
        (search / name).write_text("{}")
    code, _, err = ctrkit("explain", search, clicks, "--rows", "300", "--top", "2")
    assert code == 0, err
    assert (search / "run" / "explain.json").is_file()
    assert not (search / "explain.json").exists()
