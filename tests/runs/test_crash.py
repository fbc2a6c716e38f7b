"""Runs that die at some moment: the same command finishes them, or starts clean."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from killing import Killed, kill_at, left_over, photograph

import ctrkit
from ctrkit import jobs
from ctrkit.errors import RunFolderError
from ctrkit.runs import train as training
from ctrkit.testing.generated import planted_clicks
from ctrkit.track import MlflowTracker
from ctrkit.track.client import connect
from ctrkit.track.state import read_state
from ctrkit.train import Callback

OPTIONS = ["train.epochs=2", "train.batch_size=256", "train.evals_per_epoch=1"]


@pytest.fixture(scope="module")
def clicks(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clicks") / "clicks.parquet"
    planted_clicks(1_500, seed=3)[0].write_parquet(path)
    return path


def train(clicks: Path, out: Path, **options) -> training.RunResult:
    return jobs.train(clicks, label="click", model="fm", out=out, set=OPTIONS, **options)


@pytest.fixture(scope="module")
def uninterrupted(clicks, tmp_path_factory) -> training.RunResult:
    return train(clicks, tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def steps(monkeypatch) -> list[int]:
    """Every step that any training of the test did, by number."""
    done: list[int] = []

    class Count(Callback):
        def step_end(self, context) -> None:
            done.append(context.step)

        def state_dict(self) -> dict:
            return {}

        def load_state_dict(self, state) -> None:
            pass

    fit = training.fit

    def counted(*args, callbacks, **kwargs):
        return fit(*args, callbacks=(*callbacks, Count()), **kwargs)

    monkeypatch.setattr(training, "fit", counted)
    return done


def raise_once(monkeypatch, owner: object, name: str, *, at: int = 1, after: bool = False) -> None:
    """Let the ``at``-th call of a function raise, before or after it did its work."""
    function: Callable = getattr(owner, name)
    calls = 0

    def dies(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls != at:
            return function(*args, **kwargs)
        if after:
            function(*args, **kwargs)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(owner, name, dies)


def assert_same_run(run: Path, expected: training.RunResult) -> None:
    record = json.loads((run / "record.json").read_text())
    assert record["metrics"] == expected.record.metrics
    for name in ("model.safetensors", "predictions/test.parquet", "config.json"):
        assert (run / name).read_bytes() == (expected.folder / name).read_bytes()
    assert (run / "report.html").is_file()
    assert not (run / "checkpoint").exists()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("owner", "name", "at"),
    [
        (training, "save_weights", 1),
        (training, "score_batches", 3),  # two evaluations while training come first
        (training, "save_predictions", 1),
        (training, "save_predictions", 2),
        (training.Training, "record", 1),
        (training.RunRecord, "save", 1),
        (training, "summarise_run", 1),
        (training, "write_report", 1),
        (training, "remove_checkpoint", 1),
    ],
)
def test_a_run_that_dies_after_its_last_step_is_finished_without_training(
    clicks, uninterrupted, tmp_path, monkeypatch, steps, owner, name, at, after
):
    raise_once(monkeypatch, owner, name, at=at, after=after)
    with pytest.raises(OSError, match="No space left"):
        train(clicks, tmp_path / "run")
    train(clicks, tmp_path / "run")
    assert steps == list(range(1, max(steps) + 1)), "a step was trained twice"
    assert_same_run(tmp_path / "run", uninterrupted)


def test_a_report_that_was_deleted_is_written_again_without_training(
    clicks, uninterrupted, tmp_path, steps
):
    result = train(clicks, tmp_path / "run")
    report = (result.folder / "report.html").read_bytes()
    (result.folder / "report.html").unlink()
    trained = len(steps)
    train(clicks, tmp_path / "run")
    assert len(steps) == trained
    assert (result.folder / "report.html").read_bytes() == report


def test_a_broken_tracking_store_costs_one_warning_and_no_run(
    clicks, uninterrupted, tmp_path, monkeypatch, caplog
):
    (tmp_path / "store.db").write_bytes(b"not a database" * 1_000)
    monkeypatch.setenv("CTRKIT_TRACKING_URI", f"sqlite:///{tmp_path / 'store.db'}")
    for _ in range(2):  # a finished run is not sent
        assert train(clicks, tmp_path / "run").tracked is None
    assert_same_run(tmp_path / "run", uninterrupted)
    [line] = [m for m in caplog.messages if m.startswith("tracking stopped")]
    assert "is broken (file is not a database)" in line
    assert "the run continues" in line


def test_a_run_that_died_before_its_tracking_ended_is_ended_by_the_same_command(
    clicks, tmp_path, monkeypatch, steps
):
    monkeypatch.setenv("CTRKIT_TRACKING_URI", f"sqlite:///{tmp_path / 'store.db'}")
    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        kill_in(patch, MlflowTracker, "finish")
        train(clicks, tmp_path / "run")
    state = read_state(tmp_path / "run")
    assert state is not None
    assert state.status == "RUNNING"
    trained = len(steps)
    train(clicks, tmp_path / "run")
    assert len(steps) == trained
    stored = connect(state.uri).get_run(state.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.metrics["test.auc"] == pytest.approx(
        json.loads((tmp_path / "run" / "record.json").read_text())["metrics"]["test"]["auc"]
    )


def kill_in(patch: pytest.MonkeyPatch, owner: object, name: str) -> None:
    def dies(*_: object, **__: object) -> None:
        raise Killed

    patch.setattr(owner, name, dies)


def tiny(out: Path, data: Path, *, force: bool, seed: int = 1) -> training.RunResult:
    options = ["train.epochs=1", "train.evals_per_epoch=1"]
    return jobs.train(data, label="click", model="lr", out=out, set=options, force=force, seed=seed)


@pytest.mark.parametrize("earlier", ["none", "another run", "same run"])
@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_at_any_file_operation_is_finished_by_the_same_command(
    tmp_path, clicks, earlier, stride
):
    """The file operations of a training are counted through until one is not killed."""
    expected = tiny(tmp_path / "expected", clicks, force=False)
    template = tmp_path / "template"
    if earlier != "none":
        tiny(template, clicks, force=False, seed=2 if earlier == "another run" else 1)
    force, number = earlier != "none", 1
    while True:
        out = tmp_path / str(number)
        if template.exists():
            shutil.copytree(template, out)
        with pytest.MonkeyPatch.context() as patch:
            done = kill_at(patch, out, number)
            with suppress(Killed):
                tiny(out, clicks, force=force)
        if "dead" not in done:
            break
        if (out / "record.json").is_file() and (out / "report.html").is_file():
            assert (out / "model.safetensors").is_file(), done[-2]
        tiny(out, clicks, force=force)
        assert_same_run(out, expected)
        assert left_over(out) == [], done[-2]
        number += stride
    assert number > 15


def test_a_forced_run_that_was_killed_needs_no_force_again_and_mixes_nothing(tmp_path, clicks):
    expected = tiny(tmp_path / "expected", clicks, force=False)
    template = tiny(tmp_path / "template", clicks, force=False).folder
    for number in range(1, 40, 5):
        out = tmp_path / str(number)
        shutil.copytree(template, out)
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, out, number)
            with pytest.raises(Killed):
                tiny(out, clicks, force=True)
        tiny(out, clicks, force=False)
        assert_same_run(out, expected)
        ctrkit.load(out)


def rank(data: Path, out: Path, *, force: bool) -> None:
    jobs.rank(data, label="click", out=out, force=force, report=False)


def encode(data: Path, out: Path, *, force: bool) -> None:
    jobs.encode(data, label="click", out=out, force=force)


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize(("job", "file"), [(rank, "rank.csv"), (encode, "encoder/encoder.json")])
def test_a_ranking_or_encoding_that_is_killed_at_any_file_operation_is_made_by_the_same_command(
    tmp_path, clicks, job, file, earlier
):
    place, photos = tmp_path / "place", tmp_path / "photos"
    place.mkdir()
    if earlier:
        job(clicks, place / "out", force=False)
    with pytest.MonkeyPatch.context() as patch:
        photograph(patch, place, photos)
        job(clicks, place / "out", force=earlier)
    names = sorted(p.relative_to(place) for p in place.rglob("*"))
    expected = (place / "out" / file).read_bytes()
    kills = sorted(photos.iterdir())
    assert len(kills) >= 3
    for photo in kills[1::4]:
        shutil.rmtree(place)
        shutil.copytree(photo, place)
        with suppress(RunFolderError):  # it is finished
            job(clicks, place / "out", force=earlier)
        assert (place / "out" / file).read_bytes() == expected
        assert sorted(p.relative_to(place) for p in place.rglob("*")) == names


def test_a_folder_of_other_files_is_no_ranking_that_was_killed(tmp_path, clicks):
    (tmp_path / ".ranking-0a1b2c3d").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(RunFolderError, match="other files and no ranking"):
        rank(clicks, tmp_path, force=False)
