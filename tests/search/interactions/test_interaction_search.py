"""``ctrkit search interactions`` from end to end: its folder, its sizes, its refusals."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

import ctrkit
from ctrkit import jobs
from ctrkit.errors import ConfigError, RunFolderError, SchemaError
from ctrkit.models.build import build_model
from ctrkit.models.model import Model
from ctrkit.nn.gates.pair import PairGate
from ctrkit.testing.generated import planted_clicks

FAST = (
    "search.epochs=1",
    "train.epochs=1",
    "train.batch_size=256",
    "train.lr=0.01",
    "model.mlp.hidden=[8]",
    "model.second_dim=4",
    "track.uri=none",
)


@pytest.fixture(scope="module")
def clicks(tmp_path_factory):
    """Categories, numbers and lists; few columns, so that a search is short."""
    frame = planted_clicks(3_000, seed=2)[0]
    path = tmp_path_factory.mktemp("clicks") / "clicks.parquet"
    frame.select("click", "site", "device", "age", "interests").write_parquet(path)
    return path


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CTRKIT_HOME", str(tmp_path_factory.getbasetemp() / "home"))


def search(clicks, folder, *more, **options):
    return jobs.search_interactions(
        clicks, label="click", out=folder, set=[*FAST, *more], **options
    )


def tree(folder) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_a_search_leaves_a_plain_run_that_trains_again(clicks, tmp_path):
    """All controls over two seeds; the winner's run.toml gives the same weights anew."""
    found = search(clicks, tmp_path / "s", seeds=2, controls="all")
    assert tree(found.folder) == {
        "run.toml",
        "schema.toml",
        "pairs.json",
        "run",
        "record.json",
        "report.html",
        "checksums.json",
        "search.json",
        "searches",
        "controls",
        "crosses.json",
    }
    pairs = json.loads((found.folder / "pairs.json").read_text())
    assert pairs["format"] == 1
    assert len(pairs["pairs"]) == 6, "four fields"
    record = found.record
    assert set(record["rows"]) == {
        "optinter",
        "all naive",
        "random",
        "all memorize",
        "all factorize",
    }
    for name, rows in record["rows"].items():
        assert [row["seed"] for row in rows] == [0, 1]
        assert all(sum(row["pairs"].values()) == 6 for row in rows)
        assert name == "optinter" or len(record["paired"][name]) == 2
    ours, dealt = record["rows"]["optinter"][0], record["rows"]["random"][0]
    assert ours["pairs"] == dealt["pairs"]
    assert (record["rows"]["all naive"][0]["cross_rows"], dealt["cross_rows"] > 0) == (
        0,
        ours["cross_rows"] > 0,
    )
    assert {tuple(p["fields"]) for p in record["pairs"]} == {
        tuple(p["fields"]) for p in pairs["pairs"]
    }
    assert all(
        set(p["information"]) == {"mi", "miller_madow", "excess", "interaction"}
        for p in record["pairs"]
    )
    told = {w.split("'")[1] for w in record["warnings"] if "significantly better" in w}
    better = {
        name
        for name, rows in record["rows"].items()
        if rows[0]["validation"]["logloss"] < record["rows"]["optinter"][0]["validation"]["logloss"]
    }
    assert told <= better, "said of better ones alone"
    text = (found.folder / "run.toml").read_text()
    assert "search" not in text
    assert 'file = "pairs.json"' in text
    again = jobs.train(found.folder / "run.toml", out=tmp_path / "again", set=["track.uri=none"])
    ours, theirs = (
        load_file(p / "model.safetensors") for p in (found.folder / "run", again.folder)
    )
    assert ours.keys() == theirs.keys()
    assert not [name for name in ours if "gate" in name]
    assert all(torch.equal(ours[n], theirs[n]) for n in ours)
    rows = pl.read_parquet(clicks).head(5)
    assert ctrkit.load(found.folder / "run").predict(rows).shape == (5,)


def test_same_command_resumes_and_another_is_refused(clicks, tmp_path):
    first = search(clicks, tmp_path / "s", controls="none")
    weights = first.folder / "searches" / "0" / "run" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    again = search(clicks, tmp_path / "s", controls="default")
    assert (again.folder / "searches" / "0" / "found.json").is_file()
    assert again.record["rows"]["optinter"] == first.record["rows"]["optinter"]
    assert set(again.record["rows"]) == {"optinter", "all naive", "random"}
    assert weights.stat().st_mtime_ns == before, "what is there is not trained again"
    with pytest.raises(RunFolderError, match="another search"):
        search(clicks, tmp_path / "s", "search.update=joint")
    search(clicks, tmp_path / "s", "search.update=joint", controls="none", force=True)


def test_exact_crosses_have_rows_of_their_own_within_the_budget(clicks, tmp_path):
    """Over the budget, the control of all memorized pairs is hashed to fit, and said so."""
    found = search(
        clicks, tmp_path / "s", "model.cross_min_count=3", exact=True, controls="all", budget=6_000
    )
    known = json.loads((found.folder / "crosses.json").read_text())["rows"]
    row = found.record["rows"]["optinter"][0]
    memorized = [
        n for n, p in zip(known, found.record["pairs"], strict=True) if p["op"] == "memorize"
    ]
    assert sum(memorized) * 4 * 4 <= 6_000
    assert row["cross_rows"] == sum(memorized) + len(memorized)
    state = load_file(found.folder / "run" / "model.safetensors")
    if memorized:
        assert len(state["crosses.weight"]) == row["cross_rows"] + 1, "and the zero row"
    whole = found.record["rows"]["all memorize"][0]
    assert (whole["label"], whole["cross_bytes"] <= 6_000) == ("hashed to fit", True)
    assert sum(known) * 4 * 4 > 6_000
    assert (found.folder / "report.html").read_text().count("hashed to fit")


def test_exact_model_scores_crosses_unseen_in_training(clicks, tmp_path):
    """The keys lie in the run's encoder; a cross that training never met is no fault."""
    given = [*FAST[1:], "model.pairs.op=memorize", "model.crosses=exact"]
    result = jobs.train(clicks, label="click", model="optinter", out=tmp_path / "run", set=given)
    assert (result.folder / "encoder" / "crosses" / "keys.npy").is_file()
    predictor = ctrkit.load(result.folder)
    rows = pl.read_parquet(clicks).head(50)
    whole = predictor.predict(rows)
    frame = rows.with_columns(site=pl.lit("never met"), interests=pl.lit(None))
    assert predictor.predict(frame).shape == (50,)
    assert predictor.predict(rows.head(0)).shape == (0,)
    assert predictor.predict(rows.head(1)) == pytest.approx(whole[:1], abs=1e-6)


def test_search_starts_from_the_pairs_of_a_ranking(clicks, tmp_path):
    jobs.rank(clicks, label="click", order=2, out=tmp_path / "rank")
    ranked = json.loads((tmp_path / "rank" / "rank.json").read_text())
    crosses = [f for f in ranked["features"] if f["order"] == 2 and "noise" not in f["flags"]]
    assert crosses, "the planted pair is among the fields"
    found = search(
        clicks, tmp_path / "s", "search.most_pairs=1", pairs=tmp_path / "rank", controls="none"
    )
    searched = [p for p in found.record["pairs"] if p["searched"]]
    assert [set(p["fields"]) for p in searched] == [set(crosses[0]["members"])]
    assert {p["op"] for p in found.record["pairs"] if not p["searched"]} == {"naive"}
    with pytest.raises(RunFolderError, match="is not a ranking"):
        search(clicks, tmp_path / "t", pairs=tmp_path)
    assert not (tmp_path / "t").exists()


def test_retrained_model_starts_with_no_weight_of_the_search(clicks, tmp_path, monkeypatch):
    """No tensor that is drawn at random is the search's; the allocated rows are the met ones."""
    from ctrkit.runs import train as training
    from ctrkit.search import base as searching

    made: dict[str, Model] = {}

    def keep(name):
        def build(*args, **options) -> Model:
            model = build_model(*args, **options)
            made[name] = {k: v.clone() for k, v in model.state_dict().items()}
            return model

        return build

    monkeypatch.setattr(searching, "build_model", keep("search"))
    monkeypatch.setattr(training, "build_model", keep("retrained"))
    search(clicks, tmp_path / "s", controls="none")
    for name, tensor in made["retrained"].items():
        other = made["search"].get(name)
        drawn = other is not None and other.numel() > 1 and float(tensor.std()) > 0
        assert not (drawn and other.shape == tensor.shape and torch.equal(other, tensor)), name


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"controls": "every"}, ConfigError, "controls must be one of"),
        ({"seeds": 0}, ConfigError, "seeds must be at least 1"),
        ({"budget": 0}, ConfigError, "search.budget"),
        ({"more": ("search.update=bilevl",)}, ConfigError, "search.update"),
        ({"more": ("search.epoch=1",)}, ConfigError, "did you mean 'epochs'"),
        (
            {"numeric": ["age"], "ignore": ["site", "device", "interests"]},
            SchemaError,
            "at least two fields",
        ),
    ],
)
def test_user_error_is_one_line_and_leaves_no_folder(clicks, tmp_path, options, error, says):
    more = options.pop("more", ())
    with pytest.raises(error, match=says) as caught:
        search(clicks, tmp_path / "s", *more, **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "s").exists()


def test_operations_from_a_file_are_checked(clicks, tmp_path):
    path = tmp_path / "pairs.json"
    path.write_text('{"format": 1, "pairs": [{"fields": ["site", "devise"], "op": "memorize"}]}')
    with pytest.raises(ConfigError, match="no field 'devise'; did you mean 'device'"):
        jobs.train(
            clicks,
            label="click",
            model="optinter",
            out=tmp_path / "run",
            set=[*FAST[1:], f"model.pairs.file={path}"],
        )
    path.write_text('{"format": 1, "pairs": [{"fields": ["site", "device"], "op": "memorise"}]}')
    with pytest.raises(ConfigError, match=r"model.operations.0.op"):
        jobs.train(
            clicks,
            label="click",
            model="optinter",
            out=tmp_path / "run",
            set=[*FAST[1:], f"model.pairs={path}"],
        )
    with pytest.raises(ConfigError, match=r"must name a pairs.json"):
        jobs.train(
            clicks,
            label="click",
            model="optinter",
            out=tmp_path / "run",
            set=[*FAST[1:], "model.pairs=absent.json"],
        )


def test_warning_names_a_control_that_is_significantly_better(clicks, tmp_path, monkeypatch):
    """A table of two fields that the search, told to, leaves out, against all memorized."""
    draw = np.random.default_rng(0)
    codes = draw.integers(0, 20, (8_000, 3))
    table = np.where(draw.random((20, 20)) < 0.5, 0.1, 0.9)
    click = draw.random(8_000) < table[codes[:, 0], codes[:, 1]]
    frame = pl.DataFrame({f"f{i}": codes[:, i].astype(str) for i in range(3)})
    frame.with_columns(click=click.astype(int)).write_parquet(tmp_path / "data.parquet")
    monkeypatch.setattr(PairGate, "derive", lambda gate: ["naive"] * len(gate.weight))
    found = search(tmp_path / "data.parquet", tmp_path / "s", "train.epochs=4", controls="all")
    rows = found.record["rows"]
    theirs, ours = (rows[n][0]["validation"]["logloss"] for n in ("all memorize", "optinter"))
    assert theirs < ours - 0.05
    said = [w for w in found.record["warnings"] if "significantly better" in w]
    assert "'all memorize'" in " ".join(said)
    assert "'all naive'" not in " ".join(said), "it is the same model"
