"""The MLflow mirror: what is sent, what a dead store costs, what a replay sends."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ctrkit.config.sections import RunConfig, TrackConfig
from ctrkit.errors import TrackingError
from ctrkit.records import NullTracker, RunRecord
from ctrkit.track import MlflowTracker, make_tracker, sync, tracked_at, tracking_uri
from ctrkit.track.client import connect, open_store
from ctrkit.track.state import read_state

DEAD = "http://127.0.0.1:9"


def record(steps: int = 3) -> RunRecord:
    return RunRecord(
        metrics={"test": {"auc": 0.75, "rows": 10, "group_auc": float("nan")}},
        seed=0,
        data={},
        config_sha256="c",
        versions={},
        timings={},
        parameters={},
        memory={},
        training={"steps": steps},
    )


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    """A run folder, with its own ``CTRKIT_HOME``."""
    monkeypatch.setenv("CTRKIT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CTRKIT_TRACKING_URI", raising=False)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(RunConfig().canonical_json())
    return folder


def write_lines(folder: Path, steps: list[int]) -> None:
    lines = [json.dumps({"step": s, "auc": s / 10, "odd": float("nan")}) for s in steps]
    (folder / "metrics.jsonl").write_text("".join(line + "\n" for line in lines))


def stored(folder: Path):
    """Return the MLflow run that ``tracking.json`` names, and a client of its store."""
    state = json.loads((folder / "tracking.json").read_text())
    client = connect(state["uri"])
    return client.get_run(state["run_id"]), client


def steps_of(folder: Path) -> list[int]:
    found, client = stored(folder)
    return [m.step for m in client.get_metric_history(found.info.run_id, "auc")]


def test_tracking_store_is_resolved(run, monkeypatch):
    assert tracking_uri(TrackConfig()).startswith("sqlite:///")
    monkeypatch.setenv("CTRKIT_TRACKING_URI", DEAD)
    assert tracking_uri(TrackConfig()) == DEAD
    assert tracking_uri(TrackConfig(uri="sqlite:///x.db")) == "sqlite:///x.db"
    assert tracking_uri(TrackConfig(uri="none")) is None
    assert isinstance(make_tracker(TrackConfig(uri="none"), name="x"), NullTracker)
    assert tracked_at(run) is None


def test_run_is_mirrored_completely_and_writes_nowhere_else(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    tracker = make_tracker(TrackConfig(), name="fm-0")
    tracker.start(run, {"model": {"name": "fm", "long": "x" * 9_000}}, {"ctrkit.model": "fm"})
    for step in (1, 2, 3):
        tracker.log(step, {"auc": step / 10})
    tracker.finish("FINISHED", record())
    found, client = stored(run)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "fm-0"
    assert found.data.params["model.name"] == "fm"
    assert len(found.data.params["model.long"]) == 6_000
    assert found.data.tags["ctrkit.model"] == "fm"
    assert found.data.metrics["test.auc"] == 0.75
    assert "test.group_auc" not in found.data.metrics
    assert [a.path for a in client.list_artifacts(found.info.run_id)] == ["config.json"]
    assert steps_of(run) == [1, 2, 3]
    assert found.info.run_id in str(tracked_at(run))
    assert {p.name for p in tmp_path.iterdir()} == {"run", "home"}
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_resumed_run_continues_the_same_mlflow_run(run):
    first = make_tracker(TrackConfig(), name="x")
    first.start(run, {}, {})
    write_lines(run, [1, 2, 3])
    for step in (1, 2, 3):
        first.log(step, {"auc": step / 10})
    first.finish("KILLED")
    assert stored(run)[0].info.status == "KILLED"
    write_lines(run, [1, 2])  # the checkpoint was written before step 3
    second = make_tracker(TrackConfig(), name="x")
    second.start(run, {}, {})
    assert stored(run)[0].info.status == "RUNNING"
    for step in (3, 4):
        second.log(step, {"auc": step / 10})
    second.finish("FAILED")
    assert stored(run)[0].info.status == "FAILED"
    assert steps_of(run) == [1, 2, 3, 4]


@pytest.mark.parametrize("uri", [DEAD, "sqlite:////proc/nowhere/mlflow.db"])
def test_dead_store_costs_one_warning_and_sync_replays_the_run(run, uri, caplog):
    started = time.perf_counter()
    tracker = MlflowTracker(uri, "ctrkit", "x")
    with caplog.at_level(logging.WARNING, logger="ctrkit"):
        tracker.start(run, {}, {})
        for step in (1, 2):
            tracker.log(step, {"auc": step / 10})
        tracker.finish("FINISHED", record())
    assert len(caplog.records) == 1
    assert "ctrkit sync" in caplog.text
    assert time.perf_counter() - started < 60
    assert read_state(run) is None
    write_lines(run, [1, 2])
    record().save(run / "record.json")
    assert sync(run) == 2
    assert steps_of(run) == [1, 2]
    assert stored(run)[0].info.status == "FINISHED"
    before = stored(run)[0].data.metrics
    assert sync(run) == 0
    assert steps_of(run) == [1, 2]
    assert stored(run)[0].data.metrics == before


def test_lines_missed_in_an_outage_are_replayed_on_resume(run):
    tracker = make_tracker(TrackConfig(), name="x")
    tracker.start(run, {}, {})
    tracker.log(1, {"auc": 0.1})
    write_lines(run, [1, 2, 3])  # 2 and 3 were written while the store was away
    resumed = make_tracker(TrackConfig(), name="x")
    resumed.start(run, {}, {})
    resumed.log(4, {"auc": 0.4})
    assert steps_of(run) == [1, 2, 3, 4]


def test_half_a_line_at_the_end_of_the_metrics_is_skipped(run, caplog):
    write_lines(run, [1, 2])
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 3, "auc": 0.\xc3')
    tracker = make_tracker(TrackConfig(), name="x")
    with caplog.at_level(logging.WARNING, logger="ctrkit"):
        tracker.start(run, {}, {})
        tracker.log(3, {"auc": 0.3})
    assert steps_of(run) == [1, 2, 3]
    assert caplog.records == []


def test_damaged_tracking_file_does_not_stop_a_run(run, caplog):
    (run / "tracking.json").write_text("{")
    tracker = make_tracker(TrackConfig(), name="x")
    with caplog.at_level(logging.WARNING, logger="ctrkit"):
        tracker.start(run, {}, {})
        tracker.log(1, {"auc": 0.1})
        tracker.finish("FINISHED", record())
    assert len(caplog.records) == 1
    assert "tracking.json is damaged" in caplog.text
    assert stored(run)[0].info.status == "FINISHED"


class Killed(BaseException):
    """Stands for SIGKILL."""


@contextmanager
def dies_at_statement(number: int, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Die before a statement of a database; clean nothing up."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    count = 0

    def die(*_: object) -> None:
        nonlocal count
        count += 1
        if count >= number:
            raise Killed

    patch.setattr("shutil.rmtree", lambda *_, **__: None)
    event.listen(Engine, "before_cursor_execute", die)
    try:
        with pytest.raises(Killed):
            yield
    finally:
        event.remove(Engine, "before_cursor_execute", die)
        patch.undo()


@pytest.mark.parametrize(
    "number", [600, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 1700, 67))]
)
def test_a_new_store_is_made_whole_or_not_at_all(tmp_path, monkeypatch, number):
    home = tmp_path / "home"
    monkeypatch.setenv("CTRKIT_HOME", str(home))
    uri = f"sqlite:///{home / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch, dies_at_statement(number, patch):
        open_store(uri, "ctrkit")
    open_store(uri, "ctrkit")
    assert sorted(p.name for p in home.iterdir()) == ["mlflow.db", "tracking.lock"]


@pytest.fixture(scope="module")
def whole_store(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    open_store(f"sqlite:///{path}", "ctrkit")
    return path


def not_a_database(store: Path) -> None:
    store.write_bytes(b"not a database" * 1_000)


def truncated(store: Path) -> None:
    store.write_bytes(store.read_bytes()[:300_000])


def half_migrated(store: Path) -> None:
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'bda7b8c39065'")
        connection.commit()


def half_made(store: Path) -> None:
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("DROP TABLE alembic_version")
        connection.commit()


@pytest.mark.parametrize("harm", [not_a_database, truncated, half_migrated, half_made])
def test_a_broken_store_is_said_to_be_broken_and_the_run_goes_on(run, whole_store, caplog, harm):
    store = run.parent / "mlflow.db"
    shutil.copy(whole_store, store)
    harm(store)
    tracker = MlflowTracker(f"sqlite:///{store}", "ctrkit", "x")
    with caplog.at_level(logging.WARNING, logger="ctrkit"):
        tracker.start(run, {}, {})
        tracker.log(1, {"auc": 0.1})
        tracker.finish("FINISHED", record())
    [line] = caplog.messages
    assert "\n" not in line
    for words in (str(store), "is broken (", "move this file away", f"`ctrkit sync {run}`"):
        assert words in line
    with pytest.raises(TrackingError, match="is broken"):
        open_store(tracker.uri, "ctrkit")


def test_runs_of_a_broken_store_are_sent_to_the_one_that_replaces_it(run, whole_store, monkeypatch):
    store = run.parent / "mlflow.db"
    shutil.copy(whole_store, store)
    monkeypatch.setenv("CTRKIT_TRACKING_URI", f"sqlite:///{store}")
    write_lines(run, [1, 2])
    tracker = make_tracker(TrackConfig(), name="x")
    tracker.start(run, {}, {})
    tracker.finish("FINISHED", record())
    record().save(run / "record.json")
    truncated(store)
    with pytest.raises(TrackingError, match="is broken"):
        sync(run)
    shutil.copy(whole_store, store)  # into the same file, which MLflow keeps open here
    assert sync(run) == 2
    assert steps_of(run) == [1, 2]
    assert stored(run)[0].info.status == "FINISHED"


def test_an_empty_database_file_is_no_broken_store(tmp_path, monkeypatch):
    monkeypatch.setenv("CTRKIT_HOME", str(tmp_path))
    (tmp_path / "mlflow.db").touch()
    open_store(f"sqlite:///{tmp_path / 'mlflow.db'}", "ctrkit")


START = """
from pathlib import Path
import sys
from ctrkit.config.sections import TrackConfig
from ctrkit.track import make_tracker
folder = Path(sys.argv[1])
folder.mkdir()
tracker = make_tracker(TrackConfig(), name=folder.name)
tracker.start(folder, {}, {})
tracker.log(1, {"auc": 0.5})
tracker.finish("FINISHED")
sys.exit(tracker.dead)
"""


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(3))
def test_four_processes_share_a_new_home(tmp_path, attempt):
    env = {**os.environ, "CTRKIT_HOME": str(tmp_path / "home"), "CTRKIT_TRACKING_URI": ""}
    workers = [
        subprocess.Popen([sys.executable, "-c", START, str(tmp_path / f"run{i}")], env=env)
        for i in range(4)
    ]
    assert [worker.wait(timeout=200) for worker in workers] == [0, 0, 0, 0]
    ids = {json.loads((tmp_path / f"run{i}/tracking.json").read_text())["run_id"] for i in range(4)}
    assert len(ids) == 4


def test_a_database_server_that_does_not_answer_is_known_at_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("CTRKIT_HOME", str(tmp_path / "home"))
    uri = "postgresql+psycopg://me:secret@127.0.0.1:1/db"
    started = time.monotonic()
    tracker = MlflowTracker(uri, "ctrkit", "a")
    tracker.start(tmp_path, {}, {})
    assert time.monotonic() - started < 5
    assert "the database server at 127.0.0.1:1 does not answer" in caplog.text
    assert "secret" not in caplog.text
