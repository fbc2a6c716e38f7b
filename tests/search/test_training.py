"""Training jobs: what ``run.toml`` holds is what passes between searches."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ctrkit.config.files import make_config
from ctrkit.config.sections import RunConfig
from ctrkit.errors import ConfigError, RunFolderError
from ctrkit.schema import Field, Schema
from ctrkit.search.features.config import FeaturesConfig, FeatureSearchConfig
from ctrkit.search.training import TrainingJob, search_config, with_init

NAMES = ["plain", 'ü 数 "quoted" \\ back', "it's = [odd] # name"]
SCHEMA = Schema((Field("a", "categorical"), Field("b", "numeric")), label="click")


def job_in(folder: Path, data: str = "/data/rows.parquet") -> TrainingJob:
    pairs = [{"fields": ["a", "b"], "op": "memorize", "rows": 3}]
    config = make_config(
        {
            "data": {
                "path": data,
                "schema": str(folder / "schema.toml"),
                "encoder": str(folder / "encoder"),
            },
            "model": {"name": "optinter", "operations": pairs, "mlp": {"hidden": [4]}},
            "train": {"init": str(folder / "init.safetensors"), "lr": 3e-4},
        }
    )
    return TrainingJob(config, SCHEMA)


@pytest.mark.parametrize("name", NAMES)
def test_saved_job_is_the_same_when_loaded(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    job = job_in(folder, str(folder.parent / name / "rows.parquet"))
    job.save(folder / "run.toml")
    loaded = TrainingJob.load(folder / "run.toml", RunConfig(), folder)
    assert loaded.config.model_dump() == job.config.model_dump()
    assert loaded.schema == job.schema


@pytest.mark.parametrize("name", NAMES)
def test_moved_folder_has_the_moved_job(tmp_path, name):
    old, new = tmp_path / "old", tmp_path / name
    old.mkdir()
    job = job_in(old)
    job.save(old / "run.toml")
    shutil.move(old, new)
    loaded = TrainingJob.load(new / "run.toml", RunConfig(), new).config
    assert loaded.model_dump() == job.moved(old, new).config.model_dump()
    assert loaded.data.path == "/data/rows.parquet", "it is not in the folder"


def test_file_below_the_root_names_the_files_beside_it(tmp_path):
    (tmp_path / "pareto").mkdir()
    job = job_in(tmp_path)
    job.save(tmp_path / "pareto" / "0.toml", root=tmp_path, pairs="../pairs.json")
    assert (tmp_path / "pairs.json").is_file()
    text = (tmp_path / "pareto" / "0.toml").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    loaded = TrainingJob.load(tmp_path / "pareto" / "0.toml", RunConfig(), tmp_path)
    assert loaded.config.model.operations == job.config.model.operations


def test_narrowed_job_has_no_pair_of_a_dropped_field(tmp_path):
    narrow = job_in(tmp_path).narrowed(SCHEMA.select(["a"]), tmp_path / "narrow.toml")
    assert narrow.config.model.operations == ()
    assert narrow.config.data.schema_path == str(tmp_path / "narrow.toml")


def test_search_takes_the_job_and_its_own_section(tmp_path):
    config = search_config(
        FeaturesConfig,
        make_config({"model": {"name": "fm"}, "train": {"lr": 0.5}}, RunConfig),
        FeatureSearchConfig(preset="criteo-dcn", epochs=3),
    )
    assert (config.model.name, config.train.lr, config.train.l2) == ("fm", 0.5, 3e-6)
    assert (config.search.epochs, config.search.unit) == (3, "loss")


def test_job_without_a_schema_is_refused(tmp_path):
    (tmp_path / "run.toml").write_text('[data]\npath = "rows.csv"\n')
    with pytest.raises(ConfigError, match="must name a schema"):
        TrainingJob.load(tmp_path / "run.toml", RunConfig(), tmp_path)


def test_loaded_job_is_the_saved_one_wherever_its_schema_is(tmp_path):
    """A pipeline that is resumed passes the loaded job on, one that is not the job itself."""
    (tmp_path / "steps").mkdir()
    job = job_in(tmp_path)
    job.save(tmp_path / "steps" / "rank.toml", root=tmp_path)
    loaded = TrainingJob.load(tmp_path / "steps" / "rank.toml", RunConfig(), tmp_path)
    assert loaded.config.sha256() == job.config.sha256()


def test_job_names_nothing_outside_of_its_search_but_what_the_search_was_given(tmp_path):
    folder = tmp_path / "search"
    folder.mkdir()
    outside = str(tmp_path / "init.safetensors")
    job = with_init(job_in(folder), outside)
    job.save(folder / "run.toml")
    with pytest.raises(RunFolderError, match=r"init\.safetensors', which lies outside"):
        TrainingJob.load(folder / "run.toml", RunConfig(), folder)
    given = make_config({"train": {"init": outside}})
    assert TrainingJob.load(folder / "run.toml", given, folder).config.train.init == outside


def test_job_has_the_addresses_of_its_search(tmp_path):
    address = "https://me:p@ss@host/rows.csv"
    config = make_config({"data": {"path": address}, "track": {"uri": "http://u:p@h"}})
    data = config.data.model_copy(update={"schema_path": str(tmp_path / "schema.toml")})
    job = TrainingJob(config.model_copy(update={"data": data}), SCHEMA)
    job.save(tmp_path / "run.toml")
    text = (tmp_path / "run.toml").read_text()
    assert "ss@" not in text
    assert "[track]" not in text
    loaded = TrainingJob.load(tmp_path / "run.toml", config, tmp_path).config
    assert (loaded.data.path, loaded.track.uri) == (address, "http://u:p@h")
    with pytest.raises(ConfigError, match=r"without its password.*--set data\.path"):
        TrainingJob.load(tmp_path / "run.toml", RunConfig(), tmp_path)
