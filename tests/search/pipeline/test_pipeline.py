"""The pipeline of searches: its steps, its comparison, and that it resumes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrkit import jobs
from ctrkit.cli import main
from ctrkit.errors import CtrkitError
from ctrkit.schema import Schema
from ctrkit.search import compare
from ctrkit.search.pipeline import job as pipeline
from ctrkit.search.pipeline.steps import Step
from ctrkit.testing.generated import planted_clicks

FAST = [
    "train.epochs=1",
    "train.batch_size=512",
    "model.mlp.hidden=[8]",
    "model.dim=4",
    "features.target_ratio=[0.5]",
    "features.epochs=1",
    "interactions.epochs=1",
]


@pytest.fixture(scope="module")
def clicks(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clicks") / "clicks.parquet"
    planted_clicks(4_000, seed=3)[0].drop("time").write_parquet(path)
    return path


def search(data: Path, out: Path, **options) -> jobs.Search:
    given = {"label": "click", "model": "dnn", "trials": 2, "seed": 0, "set": FAST, **options}
    return jobs.search_pipeline(data, out=out, **given)


@pytest.mark.slow
def test_every_step_starts_from_the_step_before_and_a_cut_pipeline_resumes(
    clicks, tmp_path, monkeypatch
):
    out = tmp_path / "s"

    def cut(context, saved, folder):
        raise KeyboardInterrupt

    steps = [s if s.name != "params" else Step("params", cut) for s in pipeline.STEPS]
    monkeypatch.setattr(compare, "prefers", lambda *rows: False)  # each step is taken
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "STEPS", tuple(steps))
        with pytest.raises(KeyboardInterrupt):
            search(clicks, out, seeds=2)
    done = {p.name: p.read_text() for p in (out / "steps").glob("*.json")}
    assert done.pop("checksums.json")
    assert set(done) == {"before.json", "rank.json", "features.json", "interactions.json"}
    found = search(clicks, out, seeds=2)
    for name, text in done.items():
        assert (out / "steps" / name).read_text() == text
    rows = {row["step"]: row for row in found.record["steps"]}
    assert list(rows) == ["before", "rank", "features", "interactions", "params", "train", "plain"]
    taken = [rows[n]["models"] for n in ("rank", "features", "interactions", "params", "train")]
    assert rows["plain"]["models"] == sum(taken)
    assert json.loads((out / "plain/search/record.json").read_text())["search"]["trials"] == sum(
        taken
    )
    assert rows["features"]["bytes"] < rows["rank"]["bytes"]
    params = json.loads((out / "params" / "record.json").read_text())
    assert "model.dim" not in params["dimensions"], "what the user set is not searched"
    assert "train.lr" in params["dimensions"]
    assert [len(m) for m in found.record["rows"].values()] == [2, 2]
    assert len(found.record["paired"]["plain"]) == 2
    page = (out / "report.html").read_text()
    assert "<h2>Steps</h2>" in page
    assert "Comparison with the plain model" in page
    again = jobs.train(out / "run.toml", out=tmp_path / "again")
    assert again.record.metrics["test"] == found.run.record.metrics["test"]
    assert (out / "pairs.json").is_file()
    text = (out / "run.toml").read_text()
    assert str(out / "features") not in text, "the outcome needs no step's folder"


def test_steps_can_be_skipped(clicks, tmp_path, capsys, monkeypatch):
    out = tmp_path / "s"
    args = [
        "ctrkit",
        "search",
        "pipeline",
        str(clicks),
        "--label",
        "click",
        "--model",
        "fm",
        "-o",
        str(out),
        "--skip",
        "rank,interactions,params",
        "--controls",
        "none",
    ]
    for text in FAST[:2] + FAST[4:6]:
        args += ["--set", text]
    monkeypatch.setattr("sys.argv", args)
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    record = json.loads((out / "record.json").read_text())
    assert [row["step"] for row in record["steps"]] == ["before", "features", "train"]
    assert "kept" in capsys.readouterr().out
    assert not (out / "plain").exists()


def test_ranking_keeps_fields_that_inform_in_a_cross_alone_and_reads_headerless_text(tmp_path):
    """XOR: neither field tells anything of the label alone; the file has no header."""
    rng = np.random.default_rng(0)
    a, b, main, noise = (rng.integers(0, n, 6_000) for n in (2, 2, 3, 50))
    chance = 0.1 + 0.6 * (a ^ b) + 0.1 * main
    rows = pl.DataFrame(
        {
            "click": (rng.random(6_000) < chance).astype(int),
            "a": a,
            "b": b,
            "main": main,
            "noise": noise,
        }
    )
    data = tmp_path / "rows.csv"
    rows.write_csv(data, include_header=False)
    found = jobs.search_pipeline(
        data,
        out=tmp_path / "s",
        label="click",
        model="fm",
        seed=0,
        no_header=True,
        columns=rows.columns,
        categorical=["a", "b", "main", "noise"],
        controls="none",
        skip=["features", "interactions", "params"],
        set=["train.epochs=1", "model.dim=4"],
    )
    assert [row["step"] for row in found.record["steps"]] == ["before", "rank", "train"]
    assert found.record["steps"][1]["said"] == "dropped noise"


@pytest.mark.parametrize("name", ["plain", 'Ergebnisse ü 数 "x" \\ y'])
def test_rank_step_trains_on_kept_fields_below_any_folder_name(tmp_path, monkeypatch, name):
    monkeypatch.setattr(compare, "prefers", lambda *rows: False)  # each step is taken
    rng = np.random.default_rng(0)
    main, noise = (rng.integers(0, n, 3_000) for n in (3, 50))
    click = (rng.random(3_000) < 0.1 + 0.3 * main).astype(int)
    (tmp_path / name).mkdir()
    data = tmp_path / name / "rows.parquet"
    pl.DataFrame({"click": click, "main": main, "noise": noise}).write_parquet(data)
    found = jobs.search_pipeline(
        data,
        out=tmp_path / name / "s",
        label="click",
        model="fm",
        controls="none",
        categorical=["main", "noise"],
        skip=["features", "interactions", "params"],
        set=["train.epochs=1", "model.dim=4"],
    )
    rows = {row["step"]: row for row in found.record["steps"]}
    assert rows["rank"]["said"] == "dropped noise"
    assert rows["rank"]["parameters"] < rows["before"]["parameters"]
    assert Schema.load(found.folder / "schema.toml").names == ["main"]
    assert Schema.load(found.folder / "run" / "schema.toml").names == ["main"]
    again = jobs.train(found.folder / "run.toml", out=tmp_path / name / "again")
    assert again.record.metrics["test"] == found.run.record.metrics["test"]


def test_rank_step_drops_the_pairs_of_dropped_fields(tmp_path, monkeypatch):
    """The plain model's pairs.json stays whole, and the plain model's files train it again."""
    monkeypatch.setattr(compare, "prefers", lambda *rows: False)
    rng = np.random.default_rng(0)
    a, b, noise = (rng.integers(0, n, 3_000) for n in (3, 4, 50))
    click = (rng.random(3_000) < 0.1 + 0.2 * a + 0.1 * b).astype(int)
    frame = pl.DataFrame({"click": click, "a": a, "b": b, "noise": noise})
    frame.write_parquet(tmp_path / "rows.parquet")
    pairs = [
        {"fields": ["a", "b"], "op": "factorize"},
        {"fields": ["a", "noise"], "op": "memorize"},
    ]
    (tmp_path / "pairs.json").write_text(json.dumps({"format": 1, "pairs": pairs}))
    found = jobs.search_pipeline(
        tmp_path / "rows.parquet",
        out=tmp_path / "s",
        label="click",
        model="optinter",
        controls="none",
        categorical=["a", "b", "noise"],
        skip=["features", "interactions", "params"],
        set=["train.epochs=1", "model.mlp.hidden=[4]", f'model.pairs="{tmp_path}/pairs.json"'],
    )
    assert found.record["steps"][1]["said"] == "dropped noise"

    def named(path):
        return [tuple(p["fields"]) for p in json.loads(path.read_text())["pairs"]]

    assert named(found.folder / "pairs.json") == [("a", "b")]
    assert named(found.folder / "plain-pairs.json") == [("a", "b"), ("a", "noise")]
    again = jobs.train(found.folder / "run.toml", out=tmp_path / "again")
    assert again.record.metrics["test"] == found.run.record.metrics["test"]
    before = jobs.train(found.folder / "plain.toml", out=tmp_path / "before")
    assert before.record.metrics["test"]["logloss"] == found.record["steps"][0]["test"]["logloss"]


@pytest.mark.parametrize("leaks", [False, True])
def test_significantly_worse_step_is_not_used_unless_it_removes_a_leak(
    tmp_path, monkeypatch, leaks
):
    rng = np.random.default_rng(0)
    main, noise = (rng.integers(0, n, 3_000) for n in (3, 50))
    click = (rng.random(3_000) < 0.1 + 0.3 * main).astype(int)
    told = click if leaks else rng.integers(0, 4, 3_000)
    data = tmp_path / "rows.parquet"
    pl.DataFrame({"click": click, "main": main, "noise": noise, "told": told}).write_parquet(data)
    monkeypatch.setattr(compare, "prefers", lambda *rows: True)
    found = jobs.search_pipeline(
        data,
        out=tmp_path / "s",
        label="click",
        model="fm",
        controls="none",
        categorical=["main", "noise", "told"],
        skip=["features", "interactions", "params"],
        set=["train.epochs=1", "model.dim=4"],
    )
    rows = {row["step"]: row for row in found.record["steps"]}
    assert "told" in rows["rank"]["said"]
    assert rows["rank"]["taken"] == leaks
    assert ("leaking: told" in rows["rank"]["said"]) == leaks
    assert (": not used" in (found.folder / "report.html").read_text()) != leaks
    kept = Schema.load(found.folder / "schema.toml").names
    assert kept == (["main"] if leaks else ["main", "noise", "told"])


def test_step_with_a_requested_size_is_used(clicks, tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "prefers", lambda *rows: True)
    found = search(
        clicks,
        tmp_path / "s",
        model="fm",
        controls="none",
        skip=["rank", "interactions", "params"],
        set=[*FAST[:2], *FAST[3:6]],
    )
    assert [row["taken"] for row in found.record["steps"][1:]] == [True, True]


@pytest.mark.parametrize("better", [False, True])
def test_warning_names_a_plain_model_that_is_better(clicks, tmp_path, monkeypatch, better):
    monkeypatch.setattr(compare, "prefers", lambda *rows: better)
    found = search(
        clicks,
        tmp_path / "s",
        model="fm",
        set=[*FAST[:2], *FAST[3:4]],
        skip=["rank", "features", "interactions", "params"],
    )
    assert any("plain/search/run.toml" in w for w in found.record["warnings"]) == better


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skip": ["featurs"]}, "did you mean 'features'"),
        ({"skip": ["train"]}, "no step 'train'"),
        ({"set": ["params.trails=2"]}, "did you mean 'trials'"),
        ({"set": ["features.penalti=2"]}, "did you mean 'penalty'"),
        ({"controls": "all"}, "controls must be one of"),
        ({"seeds": 0}, "at least 1"),
        ({"model": "dnnn"}, "did you mean 'dnn'"),
    ],
    ids=str,
)
def test_user_error_leaves_no_folder(clicks, tmp_path, options, message):
    with pytest.raises(CtrkitError, match=message):
        search(clicks, tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()
