"""Folders of work: claimed, resumed, refused, overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctrkit.config.sections import RunConfig, TrainConfig
from ctrkit.errors import RunFolderError
from ctrkit.files import write_atomic, write_json
from ctrkit.runs.folder import RunFolder, SearchFolder, WorkFolder
from ctrkit.schema import Field, Schema

SCHEMA = Schema(fields=(Field("site", "categorical"),), label="click")


def run(path: Path, seed: int = 0, source: str = "rows", schema: Schema = SCHEMA) -> RunFolder:
    return RunFolder(path, RunConfig(train=TrainConfig(seed=seed)), schema, source)


def begin(folder: RunFolder, seed: int = 0) -> None:
    """Write what a run writes before its first step."""
    folder.open(force=False)
    write_json(folder.path / "dataset.json", {"source": folder.identity["source"]})
    config = RunConfig(train=TrainConfig(seed=seed))
    write_atomic(folder.path / "config.json", config.canonical_json())
    write_atomic(folder.path / "schema.toml", SCHEMA.to_toml())


def search(path: Path, **identity: object) -> SearchFolder:
    return SearchFolder(path, {"format": 1, "source": "rows", **identity}, ("run.toml", "trials"))


@pytest.fixture(params=["run", "search"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> WorkFolder:
    return run(tmp_path / "out") if request.param == "run" else search(tmp_path / "out")


def test_a_new_or_empty_folder_is_free(folder):
    folder.claim(force=False)
    assert not folder.same()
    folder.path.mkdir()
    folder.claim(force=False)
    assert not folder.same()


def test_a_file_is_refused(folder):
    folder.path.write_text("x")
    with pytest.raises(RunFolderError, match="is a file"):
        folder.claim(force=True)


def test_foreign_files_are_refused_and_kept_even_with_force(folder):
    folder.path.mkdir()
    (folder.path / "notes.txt").write_text("x")
    with pytest.raises(RunFolderError, match=r"do not belong to a (run|search) \('notes.txt'\)"):
        folder.claim(force=True)
    assert (folder.path / "notes.txt").read_text() == "x"


def test_temporary_files_of_a_killed_job_are_ignored(folder):
    folder.path.mkdir()
    (folder.path / ".record.json.123").write_text("{")
    folder.claim(force=False)


def test_the_same_run_resumes_and_another_is_refused(tmp_path):
    begin(run(tmp_path))
    (tmp_path / "checkpoint").write_text("x")
    again = run(tmp_path)
    again.claim(force=False)
    again.open(force=False)
    assert again.same()
    assert (tmp_path / "checkpoint").exists()
    for other, words in (
        (run(tmp_path, seed=1), "configuration"),
        (run(tmp_path, source="other rows"), "data"),
        (
            run(tmp_path, schema=Schema(fields=(Field("ad", "categorical"),), label="click")),
            "schema",
        ),
    ):
        with pytest.raises(RunFolderError, match=rf"another run \(different {words}\)"):
            other.claim(force=False)
        assert (tmp_path / "checkpoint").exists()


def test_a_run_is_finished_when_its_record_and_report_are_there(tmp_path):
    begin(run(tmp_path))
    assert not run(tmp_path).recorded()
    (tmp_path / "record.json").write_text("{}")
    assert run(tmp_path).recorded()
    assert not run(tmp_path).finished()
    (tmp_path / "report.html").write_text("<html>")
    assert run(tmp_path).finished()
    assert not run(tmp_path, seed=1).finished()


@pytest.mark.parametrize("absent", ["config.json", "schema.toml", "dataset.json"])
def test_a_run_that_was_cut_between_its_first_files_resumes(tmp_path, absent):
    begin(run(tmp_path))
    (tmp_path / absent).unlink()
    run(tmp_path).claim(force=False)
    assert run(tmp_path).same()


@pytest.mark.parametrize("damaged", ["config.json", "schema.toml", "dataset.json"])
def test_a_damaged_identity_is_another_run(tmp_path, damaged):
    begin(run(tmp_path))
    text = (tmp_path / damaged).read_text()
    (tmp_path / damaged).write_text(text[: len(text) // 2])
    with pytest.raises(RunFolderError, match="another run"):
        run(tmp_path).claim(force=False)


def test_another_job_is_removed_when_the_folder_is_opened_not_when_it_is_claimed(tmp_path):
    begin(run(tmp_path))
    (tmp_path / "predictions").mkdir()
    (tmp_path / ".keep").write_text("x")
    other = run(tmp_path, seed=1)
    other.claim(force=True)
    assert (tmp_path / "predictions").is_dir()
    other.open(force=True)
    assert [p.name for p in tmp_path.iterdir()] == [".keep"]


def test_force_removes_the_same_job_too(tmp_path):
    search(tmp_path).open(force=False)
    (tmp_path / "trials").mkdir()
    search(tmp_path).open(force=False)
    assert (tmp_path / "trials").is_dir()
    search(tmp_path).open(force=True)
    assert not (tmp_path / "trials").exists()
    assert search(tmp_path).same()


def test_a_search_names_what_differs(tmp_path):
    search(tmp_path, config_sha256="a").open(force=False)
    search(tmp_path, config_sha256="a").claim(force=False)
    with pytest.raises(RunFolderError, match=r"another search \(different configuration\)"):
        search(tmp_path, config_sha256="b").claim(force=False)
    with pytest.raises(RunFolderError, match=r"another search \(different configuration, steps\)"):
        search(tmp_path, config_sha256="b", steps=["rank"]).claim(force=False)
    (tmp_path / "search.json").unlink()
    (tmp_path / "run.toml").touch()
    with pytest.raises(RunFolderError, match="another search; name"):
        search(tmp_path, config_sha256="a").claim(force=False)
