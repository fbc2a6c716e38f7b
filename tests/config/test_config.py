"""Configuration: one place per key, unknown keys refused, canonical text, stable identity."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import pytest

from ctrkit.config.files import load_config, make_config, to_toml
from ctrkit.config.sections import DataConfig, RunConfig
from ctrkit.config.toml import parse_value, write_toml
from ctrkit.errors import ConfigError
from ctrkit.search.interactions.config import InteractionsConfig
from ctrkit.search.params.config import ParamsConfig
from ctrkit.search.pipeline.config import PipelineConfig

PLUGINS = Path(__file__).parents[1] / "plugins"


def test_overrides_are_toml_values_and_come_last(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('[train]\nlr = 0.1\n[model]\nname = "fm"\n[model.mlp]\nhidden = [10]\n')
    config = load_config(path, overrides=["train.lr=3e-4", "model.interactions=['fm','mlp']"])
    assert config.train.lr == 3e-4
    assert config.model.interactions == ("fm", "mlp")
    assert config.model.parameters == {"mlp": {"hidden": [10]}}


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-4", 3e-4), ("true", True), ("[1, 2]", [1, 2]), ("autoint", "autoint"), ("a=b", "a=b")],
)
def test_parse_value(text, value):
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ("override", "word"),
    [
        ("trian.lr=1", "did you mean 'train'"),
        ("train.learning=1", "train.learning"),
        ("train.epoch=1", "did you mean 'epochs'"),
        ("train.lr=0", "train.lr"),
        ("train.lr=inf", "finite"),
        ("train.lr", "section.key=value"),
        ("model.dim=wide", "model.dim"),
        ("model.atention.heads=2", "did you mean 'attention'"),
        ("train.precision=fp8", "train.precision"),
        ("data.split.by=time", "data.split"),
    ],
)
def test_mistakes_are_one_line_with_a_way_out(override, word):
    with pytest.raises(ConfigError, match=word) as caught:
        load_config(overrides=[override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.lr=-1", "train.lr must be greater than 0; got -1"),
        ("train.precision=fp8", "train.precision must be 'fp32', 'bf16' or 'auto'; got 'fp8'"),
        ("model.dim=wide", "model.dim must be a valid integer; got 'wide'"),
        ("model.dim=0", "model.dim must be greater than or equal to 1; got 0"),
        ("train.lr=inf", "train.lr must be a finite number; got inf"),
        ("train=3", "--set train.seed: 'train' must be a table; it is 3"),
    ],
)
def test_messages_say_what_must_hold(override, message):
    more = ["train.seed=1"] if override == "train=3" else []
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[override, *more])
    assert str(caught.value) == message


def test_every_key_misspelt_is_an_error():
    for section, model in RunConfig.model_fields.items():
        keys = getattr(model.annotation, "model_fields", {})
        for name, field in keys.items():
            with pytest.raises(ConfigError):
                make_config({section: {f"{field.alias or name}x": 1}})


def test_canonical_json_reads_back_and_sorts():
    config = make_config({"model": {"mlp": {"hidden": [400, 300]}, "name": "dnn"}})
    text = config.canonical_json()
    assert make_config(json.loads(text)) == config
    assert list(json.loads(text)) == sorted(json.loads(text))


def test_identity_sees_every_value_but_not_the_tracking():
    """[400, 300] and [300, 400], 0.12 and 0.21: a peer's cache key took them for equal."""
    base = make_config({"model": {"mlp": {"hidden": [400, 300]}}, "train": {"lr": 0.12}})
    other = make_config({"model": {"mlp": {"hidden": [300, 400]}}, "train": {"lr": 0.12}})
    third = make_config({"model": {"mlp": {"hidden": [400, 300]}}, "train": {"lr": 0.21}})
    tracked = make_config({**json.loads(base.canonical_json()), "track": {"uri": "none"}})
    assert len({base.sha256(), other.sha256(), third.sha256()}) == 3
    assert tracked.sha256() == base.sha256()


def test_paths_are_relative_to_the_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        'plugins = ["layer.py"]\n[data]\npath = "rows.parquet"\nschema = "schema.toml"\n'
        'encoder = "encoder"\n[train]\ninit = "init.safetensors"\n'
    )
    (tmp_path / "layer.py").write_bytes((PLUGINS / "my_cross.py").read_bytes())
    config = load_config(path, trust_plugins=True)
    assert config.data.path == str(tmp_path / "rows.parquet")
    assert config.data.schema_path == str(tmp_path / "schema.toml")
    assert config.data.encoder == str(tmp_path / "encoder")
    assert config.train.init == str(tmp_path / "init.safetensors")
    assert config.plugins == (str(tmp_path / "layer.py"),)
    path.write_text('[data]\npath = "s3://rows"\n[train]\ninit = "random"\n')
    assert load_config(path).data.path == "s3://rows"
    assert load_config(path).train.init == "random"


@pytest.mark.parametrize(
    ("section", "kind"), [("search", InteractionsConfig), ("interactions", PipelineConfig)]
)
def test_the_ranking_that_a_search_names_is_relative_to_the_file(tmp_path, section, kind):
    path = tmp_path / "search.toml"
    path.write_text(f'[{section}]\npairs = "rank"\n')
    config = load_config(path, kind=kind)
    assert getattr(config, section).pairs == str(tmp_path / "rank")


@pytest.mark.parametrize(
    ("name", "text"), [("x.toml", "[train"), ("x.json", "{"), ("x.json", "[]")]
)
def test_an_unreadable_file_is_one_line(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=name):
        load_config(tmp_path / name)
    with pytest.raises(ConfigError, match="nowhere"):
        load_config(tmp_path / "nowhere.toml")


def test_published_settings_of_a_search_for_pairs_can_be_changed():
    """The constants of OptInter's code: widths 20 and 10, MLP 5 x 700, crosses from count 20."""
    found = make_config({"search": {"preset": "criteo", "epochs": 3}}, InteractionsConfig)
    assert (found.model.dim, found.model.second_dim, found.model.cross_min_count) == (20, 10, 20)
    assert found.model.parameters["mlp"]["hidden"] == [700] * 5
    assert (found.search.slope, found.search.lr, found.search.epochs) == (5e-5, 1e-4, 3)
    assert (found.train.batch_size, found.search.update) == (2000, "joint")
    avazu = make_config({"search": {"preset": "avazu"}}, InteractionsConfig)
    assert (avazu.model.dim, avazu.model.second_dim, avazu.model.cross_min_count) == (40, 4, 1)


def test_toml_reads_back_equal():
    tables = {
        "plugins": [],
        "model": {"name": "dnn", "mlp": {"hidden": [400, 400], "dropout": 0.0}},
        "train": {"lr": 1e-5, "init": 'a "quoted" \\ path\x7f\n'},
        "search": {"space": {"model.dim": [4, 8], "é": False, "train.lr": {"low": 1e-5}}, "x": {}},
        "pairs": [{"fields": ["a", "b"], "op": "naive"}],
    }
    text = write_toml(tables)
    assert tomllib.loads(text) == tables
    assert "hidden = [400, 400]\n" in text


def test_a_configuration_written_as_toml_reads_back_equal(tmp_path):
    space = {"model.dim": [4, 8], "train.lr": {"low": 1e-5, "high": 0.1}, "train.l2": False}
    pairs = [{"fields": ["a", "b"], "op": "memorize"}]
    data = {"search": {"space": space}, "model": {"operations": pairs, "mlp": {"hidden": [4]}}}
    config = make_config(data, ParamsConfig)
    (tmp_path / "search.toml").write_text(to_toml(config))
    assert load_config(tmp_path / "search.toml", kind=ParamsConfig) == config


def test_the_seed_of_the_split_is_read_under_its_earlier_name(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("[data]\nseed = 3\n")
    assert load_config(path).data.split_seed == 3
    for key in ("data.seed", "data.split_seed"):
        assert load_config(path, overrides=[f"{key}=5"]).data.split_seed == 5
    path.write_text("[data]\nseed = 3\nsplit_seed = 4\n")
    with pytest.raises(ConfigError, match="give one of the two"):
        load_config(path)
    with pytest.raises(ConfigError, match=r"data\.split_seed.*-1"):
        load_config(overrides=["data.seed=-1"])


def test_a_renamed_key_leaves_the_identity_of_earlier_jobs_as_it_was():
    config = RunConfig(data=DataConfig(split_seed=5))
    before = json.loads(config.canonical_json())
    before["data"]["seed"] = before["data"].pop("split_seed")
    assert RunConfig.model_validate(before) == config
    del before["track"]
    assert config.identity() == before
    digest = hashlib.sha256(json.dumps(before, sort_keys=True).encode()).hexdigest()
    assert config.sha256() == digest
