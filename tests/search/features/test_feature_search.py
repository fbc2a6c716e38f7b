"""The whole search for feature values: what it leaves, that it resumes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import ctrkit
from ctrkit import jobs
from ctrkit.cli import main
from ctrkit.config.files import load_config
from ctrkit.errors import CtrkitError, RunFolderError
from ctrkit.metrics import paired_logloss_test
from ctrkit.nn.gates.value import ValueGate
from ctrkit.schema import Schema
from ctrkit.search.features.config import FeaturesConfig
from ctrkit.testing.generated import planted_clicks

FAST = [
    "train.epochs=2",
    "train.batch_size=256",
    "search.epochs=2",
    "model.mlp.hidden=[16]",
    "model.dim=4",
]


@pytest.fixture(scope="module")
def clicks(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clicks") / "clicks.parquet"
    planted_clicks(4_000, seed=3)[0].write_parquet(path)
    return path


@pytest.fixture(scope="module")
def searched(clicks, tmp_path_factory) -> jobs.Search:
    return jobs.search_features(
        clicks,
        label="click",
        model="deepfm",
        out=tmp_path_factory.mktemp("s") / "search",
        target_ratio=[0.5, 0.1],
        seeds=2,
        controls="all",
        set=FAST,
    )


def test_folder_has_the_decision_the_model_and_the_report(searched):
    folder = searched.folder
    frame = pl.read_parquet(folder / "features.parquet")
    assert frame.columns == ["field", "value", "code", "gate", "kept", "count", "traffic"]
    met = frame.filter(pl.col("count") > 0)
    best = searched.record["rows"]["optfs"][0]
    assert met["kept"].sum() == best["kept"]
    assert met.height == best["values"]
    assert frame.filter(pl.col("field") == "price")["traffic"].to_list() == [1.0]
    assert best["ratio"] == pytest.approx(best["kept"] / best["values"])
    names = set(searched.record["rows"])
    assert names == {"optfs", "all values", "by frequency", "at random"}
    page = (folder / "report.html").read_text()
    assert "Comparison with the controls" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_size_falls_with_the_ratio(searched):
    half, tenth = searched.record["candidates"]
    assert (half["name"], tenth["name"]) == ("ratio-0.5", "ratio-0.1")
    whole = searched.record["rows"]["all values"][0]
    assert half["ratio"] == pytest.approx(0.5, abs=0.01)
    assert tenth["ratio"] == pytest.approx(0.1, abs=0.01)
    assert tenth["bytes"] < half["bytes"] < whole["bytes"]
    assert tenth["parameters"] < half["parameters"] < whole["parameters"]
    for name in ("by frequency", "at random"):
        rows = zip(searched.record["rows"][name], searched.record["rows"]["optfs"], strict=True)
        assert all(control["kept"] == ours["kept"] for control, ours in rows)


def test_controls_that_validation_prefers_are_named(searched):
    """The warnings are those of a paired test on the validation rows, seed 0."""

    def scores(row):
        path = searched.folder / row["folder"] / "predictions" / "validation.parquet"
        return pl.read_parquet(path).sort("row")

    rows = searched.record["rows"]
    ours = scores(rows["optfs"][0])
    better = set()
    for name in set(rows) - {"optfs"}:
        theirs = scores(rows[name][0])
        test = paired_logloss_test(theirs["label"], theirs["logit"], ours["logit"])
        if test.difference - 1.96 * test.error > 0:
            better.add(name)
    warnings = [w for w in searched.record["warnings"] if "significantly better" in w]
    assert {w.split("'")[1] for w in warnings} == better


def test_the_winning_file_trains_the_winner_again(searched, tmp_path):
    again = jobs.train(searched.folder / "run.toml", out=tmp_path / "again")
    weights = [
        (f / "model.safetensors").read_bytes() for f in (again.folder, searched.folder / "run")
    ]
    assert weights[0] == weights[1]
    assert again.record.config_sha256 == searched.run.record.config_sha256


def test_the_winner_scores_raw_rows_and_drops_what_was_dropped(searched, clicks):
    model = ctrkit.load(searched.folder / "run")
    frame = pl.read_parquet(clicks).drop("click")
    assert np.isfinite(model.predict(frame)).all()
    dropped = pl.read_parquet(searched.folder / "features.parquet").filter(~pl.col("kept"))
    name = dropped.filter(pl.col("code") >= 3)["field"][0]
    values = dropped.filter((pl.col("field") == name) & (pl.col("code") >= 3))["value"]
    row = frame.head(1)
    logits = [
        float(model.logits(row.with_columns(pl.Series(name, [v]).cast(frame.schema[name])))[0])
        for v in values[:2]
    ]
    assert len(values) < 2 or logits[0] == logits[1]


def test_same_search_is_not_repeated_and_another_is_refused(searched, clicks):
    before = (searched.folder / "run" / "model.safetensors").stat().st_mtime_ns
    options = {"label": "click", "model": "deepfm", "out": searched.folder, "set": FAST}
    again = jobs.search_features(
        clicks, target_ratio=[0.5, 0.1], seeds=2, controls="all", **options
    )
    assert again.record["rows"] == searched.record["rows"]
    files = [searched.folder / "candidates" / c["name"] for c in again.record["candidates"]]
    assert all((f / "found.npz").is_file() for f in files)
    assert before <= (searched.folder / "run" / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(RunFolderError, match="holds another search"):
        jobs.search_features(clicks, target_ratio=[0.2], **options)


def test_random_initial_weights_need_no_files_of_the_search(clicks, tmp_path):
    found = jobs.search_features(
        clicks,
        label="click",
        model="fm",
        out=tmp_path / "s",
        target_ratio=[0.3],
        controls="none",
        set=[*FAST[:3], "search.init=random"],
    )
    assert not (found.folder / "init.safetensors").exists()
    assert "init" not in (found.folder / "run.toml").read_text()
    assert set(found.record["rows"]) == {"optfs"}


def test_paths_in_a_file_are_relative_to_it_from_any_working_directory(
    clicks, tmp_path, monkeypatch
):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "clicks.parquet").write_bytes(clicks.read_bytes())
    (tmp_path / "study").mkdir()
    text = '[data]\npath = "../data/clicks.parquet"\n[model]\nname = "lr"\n'
    (tmp_path / "study" / "search.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    found = jobs.search_features(
        "study/search.toml",
        label="click",
        out="s",
        target_ratio=[0.3],
        controls="none",
        set=FAST[:3],
    )
    monkeypatch.chdir(tmp_path / "data")
    again = jobs.train("../s/run.toml", out="again")
    assert again.record.metrics["test"]["auc"] == found.run.record.metrics["test"]["auc"]


def test_hashed_fields_get_a_vocabulary_and_a_notice(clicks, tmp_path):
    schema, _ = jobs.schema(clicks, label="click", out=tmp_path / "schema.toml")
    text = (tmp_path / "schema.toml").read_text()
    name = next(f.name for f in schema.fields if f.kind == "categorical")
    at = text.index(f'[fields."{name}"]')
    hashed = text[:at] + text[at:].replace("\n", '\nencoding = "hash"\n', 1)
    (tmp_path / "schema.toml").write_text(hashed)
    found = jobs.search_features(
        clicks,
        schema=tmp_path / "schema.toml",
        model="lr",
        out=tmp_path / "s",
        target_ratio=[0.3],
        controls="none",
        set=FAST[:3],
    )
    assert any(name in w and "vocabulary" in w for w in found.record["warnings"])


PLUGIN = '''
from torch import nn
from ctrkit import interaction


@interaction("but_the_last")
class ButTheLast(nn.Module):
    """A weight per field and dimension, but for the last field."""

    def __init__(self, fields: int, dim: int) -> None:
        super().__init__()
        self.out_dim = 1
        self.weigh = nn.Linear((fields - 1) * dim, 1)

    def forward(self, x):
        return self.weigh(x[:, :-1].flatten(1))  # (B, F, D) -> (B, 1)
'''


def test_warning_names_a_plug_ins_gates_without_a_gradient(clicks, tmp_path, monkeypatch):
    """Row by row too: the limit of values with a penalty on all of them is lowered to none."""
    (tmp_path / "but_the_last.py").write_text(PLUGIN)
    monkeypatch.setitem(ValueGate.__init__.__kwdefaults__, "most_dense", 0)
    options = {
        "label": "click",
        "model": "but_the_last",
        "out": tmp_path / "s",
        "set": FAST[:3],
        "plugins": [tmp_path / "but_the_last.py"],
        "controls": "none",
    }
    found = jobs.search_features(clicks, target_ratio=[0.3], **options)
    again = jobs.search_features(clicks, target_ratio=[0.3], **options)
    assert again.record["warnings"] == found.record["warnings"]
    silent = [w for w in found.record["warnings"] if "never received a gradient" in w]
    assert len(silent) == 1
    assert any("only those of each batch were penalised" in w for w in found.record["warnings"])
    assert found.record["rows"]["optfs"][0]["ratio"] == pytest.approx(0.3, abs=0.01)


def test_fields_without_a_kept_value_leave_the_schema(clicks, tmp_path):
    found = jobs.search_features(
        clicks,
        label="click",
        model="fm",
        out=tmp_path / "s",
        target_ratio=[0.02],
        controls="none",
        set=[*FAST[:3], "search.field_gates=true"],
    )
    kept = pl.read_parquet(found.folder / "features.parquet").filter("kept")["field"].unique()
    gone = found.record["fields_dropped"]
    assert gone
    assert not set(gone) & set(kept)
    assert set(Schema.load(found.folder / "schema.toml").names) == set(kept)
    assert np.isfinite(ctrkit.load(found.run.folder).predict(pl.read_parquet(clicks))).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_ratio": [1.5]}, "target_ratio"),
        ({"set": ["search.penalti=1"]}, "did you mean 'penalty'"),
        ({"set": ["search.preset=criteo-deepfn"]}, "did you mean 'criteo-deepfm'"),
        ({"set": ["search.rewind=9"]}, r"search\.rewind"),
        ({"controls": "some"}, "controls must be one of"),
        ({"set": ["model.table=hashed"]}, r"model\.table"),
        ({"model": "deepfn"}, "did you mean 'deepfm'"),
    ],
    ids=str,
)
def test_user_error_leaves_no_folder(clicks, tmp_path, options, message):
    given = {"model": "fm", **options}
    with pytest.raises(CtrkitError, match=message):
        jobs.search_features(clicks, label="click", out=tmp_path / "s", **given)
    assert not (tmp_path / "s").exists()


def test_error_in_the_data_leaves_and_overwrites_nothing(clicks, tmp_path):
    out = tmp_path / "s"
    with pytest.raises(CtrkitError, match="must be 0 or 1 in every row"):
        jobs.search_features(clicks, label="site", model="fm", out=out)
    assert not out.exists()
    out.mkdir()
    (out / "run.toml").write_text("an older search's")
    with pytest.raises(RunFolderError, match="holds another search"):
        jobs.search_features(clicks, label="click", model="fm", out=out)
    with pytest.raises(CtrkitError, match="must be 0 or 1 in every row"):
        jobs.search_features(clicks, label="site", model="fm", out=out, force=True)
    assert (out / "run.toml").read_text() == "an older search's"


@pytest.mark.parametrize(("text", "expected"), [("3", (3.0,)), ("[3, 5.5]", (3.0, 5.5))])
def test_one_penalty_needs_no_brackets(text, expected):
    found = load_config(overrides=[f"search.penalty={text}"], kind=FeaturesConfig)
    assert found.search.penalty == expected


def test_published_hyper_parameters_fill_both_sections(clicks):
    config = load_config(
        overrides=["search.preset=criteo-dcn", "train.lr=0.5"], kind=FeaturesConfig
    )
    assert (config.search.penalty, config.search.unit, config.search.eps) == ((1e-8,), "loss", 1e-8)
    assert (config.train.lr, config.train.l2, config.train.l2_rows) == (0.5, 3e-6, "all")


def test_command_prints_the_comparison_and_the_winner(clicks, tmp_path, capsys, monkeypatch):
    out = tmp_path / "s"
    args = [
        "ctrkit",
        "search",
        "features",
        str(clicks),
        "--label",
        "click",
        "--model",
        "fm",
        "-o",
        str(out),
        "--target-ratio",
        "0.3",
    ]
    for text in FAST[:3]:
        args += ["--set", text]
    monkeypatch.setattr("sys.argv", args)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)
    said = capsys.readouterr().out
    for word in ("the search", "all values", "by frequency", "ratio-0.3", "run.toml"):
        assert word in said
    assert json.loads((out / "record.json").read_text())["winner"] == "ratio-0.3"


def test_default_penalties_drop_nothing_if_all_values_are_significantly_better(tmp_path):
    """900 values worth 2 nats each, below the price of a value: together they are most of it."""
    draw = np.random.default_rng(0)
    codes = draw.integers(0, 300, (24_000, 3))
    effects = draw.normal(0, 0.5, (3, 300))
    logit = effects[np.arange(3), codes].sum(axis=1)
    frame = pl.DataFrame({f"f{i}": codes[:, i].astype(str) for i in range(3)})
    frame = frame.with_columns(click=(draw.random(24_000) < 1 / (1 + np.exp(-logit))).astype(int))
    frame.write_parquet(tmp_path / "data.parquet")
    options = {
        "label": "click",
        "model": "lr",
        "seeds": 2,
        "set": ["train.epochs=6", "train.batch_size=256", "train.lr=0.01"],
    }
    found = jobs.search_features(tmp_path / "data.parquet", out=tmp_path / "s", **options)
    assert found.record["winner"] == "all values"
    tried = {c["name"]: c for c in found.record["candidates"]}
    assert tried["penalty-4"]["ratio"] < 0.9
    assert (
        tried["all values"]["validation"]["logloss"] < tried["penalty-4"]["validation"]["logloss"]
    )
    assert any("nothing is dropped" in w for w in found.record["warnings"])
    kept = pl.read_parquet(found.folder / "features.parquet")
    assert kept["kept"].all()
    for name, rows in found.record["rows"].items():
        assert [(r["seed"], r["ratio"]) for r in rows] == [(0, 1.0), (1, 1.0)], name
    assert ctrkit.load(found.folder / "run").predict(frame.head(3)).shape == (3,)
    options["set"] = [*options["set"], "search.penalty=[4.0, 8.0]"]
    named = jobs.search_features(tmp_path / "data.parquet", out=tmp_path / "t", **options)
    assert named.record["winner"] in ("penalty-4", "penalty-8"), "who names a penalty gets it"
