"""Options of a job that no other test covers: encoder, initial weights, sampling, plug-ins."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

import ctrkit
from ctrkit import jobs
from ctrkit.config.sections import RunConfig
from ctrkit.data.store.batches import Batches
from ctrkit.data.store.cache import home
from ctrkit.errors import ConfigError, CtrkitError, RunFolderError
from ctrkit.runs.inputs import job_config
from ctrkit.search.kinds import KINDS
from ctrkit.testing.generated import planted_clicks

FAST = ["train.epochs=1", "train.batch_size=512", "train.evals_per_epoch=1"]
PLUGIN = Path(__file__).parents[1] / "plugins" / "my_cross.py"


@pytest.fixture(scope="module")
def clicks(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clicks") / "clicks.parquet"
    planted_clicks(2_000, seed=7)[0].write_parquet(path)
    return path


def train(clicks: Path, out: Path, *settings: str, model: str = "fm", **options):
    return jobs.train(
        clicks, label="click", model=model, out=out, set=[*FAST, *settings], **options
    )


def test_frozen_encoder_is_used_unchanged(clicks, tmp_path):
    first = train(clicks, tmp_path / "a")
    later = tmp_path / "later.parquet"
    planted_clicks(2_000, seed=8)[0].write_parquet(later)
    second = train(later, tmp_path / "b", f"data.encoder={first.folder / 'encoder'}")
    names = ("encoder/encoder.json", "layout.json")
    assert all((first.folder / n).read_bytes() == (second.folder / n).read_bytes() for n in names)


def test_initial_weights_file_must_fit_the_model(clicks, tmp_path):
    first = train(clicks, tmp_path / "a")
    weights = first.folder / "model.safetensors"
    tiny = ("train.lr=1e-12", f"train.init={weights}")
    second = train(clicks, tmp_path / "b", *tiny)
    before, after = load_file(weights), load_file(second.folder / "model.safetensors")
    assert all(np.allclose(before[name], after[name], atol=1e-6) for name in before)
    with pytest.raises(RunFolderError, match="does not fit"):
        train(clicks, tmp_path / "c", f"train.init={weights}", model="dnn")
    with pytest.raises(RunFolderError, match=r"weights file .* does not exist"):
        train(clicks, tmp_path / "d", "train.init=nowhere.safetensors")


def test_sampling_rate_shifts_predictions_but_not_metrics_of_sampled_data(clicks, tmp_path):
    plain = train(clicks, tmp_path / "a")
    sampled = train(clicks, tmp_path / "b", "data.sampling_rate=0.1")
    assert plain.record.metrics == sampled.record.metrics
    frame = pl.read_parquet(clicks)
    p, q = (ctrkit.load(r.folder).predict(frame) for r in (plain, sampled))
    assert np.allclose(np.log(q / (1 - q)), np.log(p / (1 - p)) + math.log(0.1), atol=1e-5)
    judged = jobs.evaluate(sampled.folder, clicks)
    assert judged["logloss"] == pytest.approx(jobs.evaluate(plain.folder, clicks)["logloss"])
    # Rows that kept all their negatives: the logits move by ln(0.1), the order stays.
    full = jobs.evaluate(sampled.folder, clicks, sampling_rate=1.0)
    assert full["auc"] == pytest.approx(judged["auc"])
    assert full["calibration"] < judged["calibration"]
    with pytest.raises(CtrkitError, match="sampling rate"):
        jobs.evaluate(sampled.folder, clicks, sampling_rate=0.0)


def test_configuration_file_names_data_and_plugin(clicks, tmp_path):
    run = tmp_path / "run.toml"
    run.write_text(
        f'plugins = ["{PLUGIN}"]\n[data]\npath = "{clicks}"\n'
        '[model]\ninteractions = ["my_cross", "mlp"]\n'
        "[model.my_cross]\nlow_rank = 3\n[model.mlp]\nhidden = [8]\n"
        "[train]\nepochs = 1\nbatch_size = 512\n"
    )
    result = jobs.train(run, label="click", out=tmp_path / "run", trust_plugins=True)
    config = json.loads((result.folder / "config.json").read_text())
    assert config["model"]["parameters"]["my_cross"]["low_rank"] == 3
    again = jobs.train(result.folder / "config.json", label="click", out=tmp_path / "again")
    weights = [(f / "model.safetensors").read_bytes() for f in (result.folder, again.folder)]
    assert weights[0] == weights[1]


def test_seeds_change_the_weights_but_not_the_split(clicks, tmp_path):
    runs = [train(clicks, tmp_path / f"s{seed}", seed=seed) for seed in (0, 1)]
    rows = [pl.read_parquet(r.folder / "predictions/test.parquet")["row"] for r in runs]
    assert rows[0].equals(rows[1])
    assert runs[0].record.metrics["test"]["auc"] != runs[1].record.metrics["test"]["auc"]
    moved = train(clicks, tmp_path / "moved", "data.split_seed=5")
    other = pl.read_parquet(moved.folder / "predictions/test.parquet")["row"]
    assert set(other) != set(rows[0])


def test_run_with_the_earlier_name_of_a_key_is_the_same_run(clicks, tmp_path):
    run = train(clicks, tmp_path / "run", "data.split_seed=5").folder
    config = json.loads((run / "config.json").read_text())
    assert config["data"]["split_seed"] == 5
    config["data"]["seed"] = config["data"].pop("split_seed")
    (run / "config.json").write_text(json.dumps(config))
    (run / "checksums.json").unlink()  # which earlier runs did not have
    before = (run / "record.json").read_bytes()
    assert train(clicks, run, "data.seed=5").record.config_sha256
    assert (run / "record.json").read_bytes() == before
    assert ctrkit.load(run).config.data.split_seed == 5


@pytest.mark.parametrize("kind", [RunConfig, *(row.config for row in KINDS.values())])
def test_seed_of_a_job_is_the_training_seed_alone(clicks, kind):
    config = job_config(clicks, {"label": "click"}, model="lr", seed=3, kind=kind)
    assert (config.train.seed, config.data.split_seed) == (3, 0)


def test_seed_of_an_encoding_is_the_split_seed(clicks, tmp_path):
    def rows(name: str, **options: object) -> list[int]:
        dataset = jobs.encode(clicks, label="click", out=tmp_path / name, **options)
        batches = Batches(dataset.shards, "test", 4096, shuffle=False).epoch(0)
        return [int(row) for batch in batches for row in batch.row]

    by_option, by_key = rows("a", seed=5), rows("b", set=["data.split_seed=5"])
    assert by_option == by_key
    assert by_option != rows("c")


def test_encoded_shards_are_reused_unless_the_cache_is_off(clicks, tmp_path):
    assert not train(clicks, tmp_path / "a", "data.split_seed=11").record.data["cache_hit"]
    assert train(clicks, tmp_path / "b", "data.split_seed=11", model="lr").record.data["cache_hit"]
    entries = {p.name for p in (home() / "cache").iterdir()}
    off = train(clicks, tmp_path / "c", "data.split_seed=12", "data.cache=false")
    assert not off.record.data["cache_hit"]
    assert {p.name for p in (home() / "cache").iterdir()} == entries


def test_unknown_option_suggests_the_nearest(clicks, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'numeric'"):
        jobs.train(clicks, label="click", out=tmp_path / "x", numerics=["price"])


def test_demo_prints_what_it_found(tmp_path):
    lines = jobs.demo(tmp_path / "demo", rows=2_000)
    text = "\n".join(lines)
    assert "planted pairs     site x device, ad x segment" in text
    assert "test AUC" in text
    for name in ("report.html", "predictions.parquet", "autoint/report.html"):
        assert (tmp_path / "demo" / name).is_file()
