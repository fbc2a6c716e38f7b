"""The command line, as a user meets it: raw file in, run folder out, one line for a mistake."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrkit.cli import main
from ctrkit.cli.app import MALLOC
from ctrkit.testing.generated import planted_clicks

FAST = (
    "--set",
    "train.epochs=1",
    "--set",
    "train.batch_size=512",
    "--set",
    "train.evals_per_epoch=1",
)
PLUGIN = Path(__file__).parents[1] / "plugins" / "my_cross.py"


@pytest.fixture
def ctrkit(monkeypatch, capsys):
    """Run the command line in this process; return exit code, stdout and stderr."""

    def run(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ctrkit", *map(str, args)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="session")
def clicks(tmp_path_factory) -> Path:
    frame, _ = planted_clicks(3_000, seed=1)
    path = tmp_path_factory.mktemp("clicks") / "clicks.parquet"
    frame.write_parquet(path)
    return path


def fails_in_one_line(result, *words: str) -> None:
    code, _, err = result
    assert code == 2, err
    assert len(err.strip().splitlines()) == 1, err
    assert "Traceback" not in err
    for word in words:
        assert word in err


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


def test_a_finished_run_is_not_trained_twice_and_another_needs_force(ctrkit, clicks, tmp_path):
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


def test_plugin_trains_lists_sets_and_checks(ctrkit, clicks, tmp_path):
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


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--label", "clik"), ("clik", "click")),
        ((), ("--label",)),
        (("--label", "click", "--model", "autoin"), ("autoin", "autoint")),
        (("--label", "click", "--set", "train.lrr=1"), ("train.lrr", "lr")),
        (("--label", "click", "--set", "train.lr=-1"), ("train.lr",)),
        (("--label", "click", "--set", "nonsense"), ("--set",)),
        (("--label", "click", "--numeric", "sight"), ("sight",)),
        (("--label", "click", "--schema", "nowhere.toml"), ("nowhere.toml",)),
        (("--label", "click", "--set", "train.device=cuda:9x"), ("train.device",)),
        (("--label", "click", "--set", "model.mlp.hidden=[4]"), ("mlp",)),
    ],
)
def test_a_mistake_costs_one_line_and_leaves_nothing(ctrkit, clicks, tmp_path, args, words):
    run = tmp_path / "run"
    fails_in_one_line(ctrkit("train", clicks, "-o", run, *args), *words)
    assert not run.exists()


GOOD = "click,site,price\n" + "".join(f"{i % 2},s{i % 7},{i / 10}\n" for i in range(60))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("empty.csv", "", ("empty.csv",)),
        ("header.csv", "click,site\n", ("header.csv",)),
        ("one_class.csv", GOOD.replace("\n1,", "\n0,"), ("click",)),
        ("nulls.csv", GOOD + ",s1,0.5\n", ("click",)),
        ("three.csv", GOOD + "2,s1,0.5\n", ("click", "2")),
        ("ragged.csv", GOOD + "1,s1\n", ("ragged.csv", "62")),
        ("long.csv", GOOD + "1,s1,0.5,9\n", ("long.csv", "62")),
        ("broken.parquet", "PAR1 nonsense", ("broken.parquet",)),
        ("missing.csv", None, ("missing.csv",)),
    ],
)
def test_bad_files_cost_one_line_and_leave_nothing(ctrkit, tmp_path, name, text, words):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    run = tmp_path / "run"
    fails_in_one_line(ctrkit("train", path, "--label", "click", "-o", run), *words)
    assert not run.exists()


def test_a_column_whose_type_changes_between_files_is_an_error(ctrkit, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    pl.DataFrame({"click": [0, 1] * 20, "x": ["a"] * 40}).write_parquet(folder / "a.parquet")
    pl.DataFrame({"click": [0, 1] * 20, "x": [1.5] * 40}).write_parquet(folder / "b.parquet")
    run = tmp_path / "run"
    fails_in_one_line(ctrkit("train", folder, "--label", "click", "-o", run), "x", "b.parquet")
    assert not run.exists()


def test_a_constant_and_an_empty_field_are_warnings(ctrkit, tmp_path):
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


def test_foreign_files_in_the_output_folder_are_never_touched(ctrkit, clicks, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "thesis.txt").write_text("years of work")
    args = ("train", clicks, "--label", "click", "-o", run, *FAST)
    fails_in_one_line(ctrkit(*args), "thesis.txt")
    fails_in_one_line(ctrkit(*args, "--force"), "thesis.txt")
    assert (run / "thesis.txt").read_text() == "years of work"


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


def test_schema_prints_toml_that_train_takes(ctrkit, clicks, tmp_path):
    path = tmp_path / "schema.toml"
    assert ctrkit("schema", clicks, "--label", "click", "-o", path)[0] == 0
    run = tmp_path / "run"
    assert ctrkit("train", clicks, "--schema", path, "--model", "lr", "-o", run, *FAST)[0] == 0
    assert (run / "schema.toml").read_text() == path.read_text()


def test_encode_leaves_shards(ctrkit, clicks, tmp_path):
    code, _out, err = ctrkit("encode", clicks, "--label", "click", "-o", tmp_path / "shards")
    assert code == 0, err
    assert list((tmp_path / "shards").rglob("*.arrow"))


def test_rank_narrows_the_schema_and_says_so(ctrkit, clicks, tmp_path):
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


def test_rank_mistakes_are_one_line(ctrkit, clicks, tmp_path):
    args = ("rank", clicks, "--label", "click", "-o", tmp_path / "r")
    fails_in_one_line(ctrkit(*args, "--score", "gian"), "gian", "did you mean 'gain'")
    fails_in_one_line(ctrkit("rank", clicks, "-o", tmp_path / "r"), "--label")
    fails_in_one_line(ctrkit(*args[:2], "--label", "user", "-o", tmp_path / "r"), "more than 64")
    assert not (tmp_path / "r").exists()


def test_freed_memory_goes_back_soon_unless_the_user_says_otherwise(ctrkit, monkeypatch):
    name, setting = MALLOC
    monkeypatch.delenv(name, raising=False)
    ctrkit("list", "models")
    assert os.environ[name] == setting
    monkeypatch.setenv(name, "narenas:1")
    ctrkit("list", "models")
    assert os.environ[name] == "narenas:1"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted; re-run the same command to resume"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
    ],
    ids=["interrupt", "disk"],
)
def test_an_interrupt_and_a_full_disk_are_one_line(ctrkit, monkeypatch, error, code, said):
    from ctrkit import jobs

    def stop(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(jobs, "train", stop)
    found, _, err = ctrkit("train", "rows.parquet")
    assert found == code
    assert err.strip().endswith(said)
    assert len(err.strip().splitlines()) == 1
