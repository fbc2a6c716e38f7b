"""Interrupted searches: workers and parents killed, a tracking server down, many at once."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import polars as pl
import psutil
import pytest

from ctrkit import jobs
from ctrkit.testing.generated import planted_clicks
from ctrkit.track.client import connect, open_store

SLOW = [
    "train.epochs=20",
    "train.batch_size=256",
    "train.patience=0",
    "model.mlp.hidden=[16]",
    "train.evals_per_epoch=1",
    "search.pruner=none",
]
FAST = ["train.epochs=1", "model.mlp.hidden=[8]", "search.pruner=none"]


@pytest.fixture(scope="module")
def clicks(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clicks") / "clicks.parquet"
    planted_clicks(4_000, seed=3)[0].drop("time").write_parquet(path)
    return path


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A store of its own."""
    monkeypatch.setenv("CTRKIT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CTRKIT_TRACKING_URI", raising=False)
    return tmp_path / "home"


def command(data: Path, out: Path, *more: str) -> list[str]:
    settings = [part for text in SLOW for part in ("--set", text)]
    return [
        sys.executable,
        "-m",
        "ctrkit",
        "search",
        "params",
        str(data),
        "--label",
        "click",
        "--model",
        "dnn",
        "-o",
        str(out),
        "--trials",
        "4",
        "--jobs",
        "2",
        "--controls",
        "none",
        *settings,
        *more,
    ]


def until(what: Callable[[], object], seconds: float = 90.0) -> object:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def begun(out: Path) -> list[Path]:
    """Return the trials that are under way: they wrote a line, and are not noted."""
    found = [p.parent for p in (out / "trials").glob("*/metrics.jsonl") if p.stat().st_size]
    return [p for p in found if not p.with_suffix(".json").exists()]


def notes(out: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in (out / "trials").glob("*.json")}


def runs_of(client, experiment: str) -> list:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own dependencies
        return list(client.search_runs([experiment]))


def trials_of(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "trials.parquet")


@pytest.mark.slow
def test_trial_of_a_killed_worker_is_retried_and_counted_once(clicks, tmp_path):
    out = tmp_path / "s"
    parent = subprocess.Popen(command(clicks, out), stderr=subprocess.PIPE, text=True)
    until(lambda: begun(out))
    workers = psutil.Process(parent.pid).children()
    assert len(workers) == 2
    workers[0].kill()
    _, said = parent.communicate(timeout=200)
    assert parent.returncode == 0, said
    assert "starting another" in said
    frame = trials_of(out)
    record = json.loads((out / "record.json").read_text())
    assert record["counts"] == {"complete": 4, "pruned": 0, "fail": 0, "retries": frame.height - 4}
    again = frame.filter(pl.col("retry_of").is_not_null())
    assert again.height >= 1
    for row in again.iter_rows(named=True):
        first = frame.filter(pl.col("number") == row["retry_of"]).row(0, named=True)
        assert first["state"] == "FAIL"
        assert {k: first[k] for k in first if k.startswith("param.")} == {
            k: row[k] for k in row if k.startswith("param.")
        }
    last = frame.group_by("trial").last()
    assert last["state"].to_list() == ["COMPLETE"] * 4


@pytest.mark.slow
def test_killed_search_resumes_without_losing_or_repeating_trials(clicks, tmp_path, home):
    out = tmp_path / "s"
    parent = subprocess.Popen(command(clicks, out), stderr=subprocess.DEVNULL)
    until(lambda: len(begun(out)) == 2)
    workers = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    ended = len(notes(out))
    until(lambda: not [w for w in workers if w.is_running() and w.status() != "zombie"])
    assert len(notes(out)) <= ended + 2, "orphans end with their trial"
    before = notes(out)
    done = subprocess.run(
        command(clicks, out), capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    after = notes(out)
    assert len(after) == 4
    assert {k: after[k] for k in before} == before
    last = trials_of(out).group_by("trial").last()
    assert last["state"].to_list() == ["COMPLETE"] * 4
    client, experiment = open_store(f"sqlite:///{home / 'mlflow.db'}", "ctrkit")
    runs = runs_of(client, experiment)
    parents = [r for r in runs if "ctrkit.search_folder" in r.data.tags]
    assert [r.info.status for r in parents] == ["FINISHED"]
    children = [r for r in runs if "ctrkit.trial" in r.data.tags]
    assert sorted(r.data.tags["ctrkit.trial"] for r in children) == sorted(
        str(n) for n in last["trial"]
    )
    assert {r.data.tags["mlflow.parentRunId"] for r in children} == {parents[0].info.run_id}
    assert {r.info.status for r in children} == {"FINISHED"}


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])  # a person's, a scheduler's
def test_interrupted_trials_resume_from_their_checkpoints(clicks, tmp_path, sent):
    out = tmp_path / "s"
    parent = subprocess.Popen(
        command(clicks, out, "--trials", "2"), stderr=subprocess.PIPE, text=True
    )
    until(lambda: begun(out))
    parent.send_signal(sent)
    _, said = parent.communicate(timeout=90)
    assert parent.returncode == 130, said
    assert said.strip().endswith("interrupted; re-run the same command to resume")
    assert [p for p in begun(out) if (p / "checkpoint").is_dir()]
    cut = {p: (p / "metrics.jsonl").read_text().splitlines() for p in begun(out)}
    done = subprocess.run(
        command(clicks, out, "--trials", "2"),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    for path, lines in cut.items():  # the very lines, times included, are still there
        assert (path / "metrics.jsonl").read_text().splitlines()[: len(lines)] == lines


@pytest.mark.slow
def test_two_commands_share_the_trials_of_a_folder(clicks, tmp_path, home):
    arguments = [*command(clicks, tmp_path / "s"), "--jobs", "1"]
    both = [subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=240)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    frame = trials_of(tmp_path / "s")
    assert frame["state"].to_list() == ["COMPLETE"] * 4
    assert frame["retry_of"].null_count() == 4
    lines = (tmp_path / "s" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
    client, experiment = open_store(f"sqlite:///{home / 'mlflow.db'}", "ctrkit")
    runs = runs_of(client, experiment)
    assert len([r for r in runs if "ctrkit.search_folder" in r.data.tags]) == 1
    assert len([r for r in runs if "ctrkit.trial" in r.data.tags]) == 4


def search(data: Path, out: Path, trials: int, **options) -> jobs.Search:
    given = {"label": "click", "model": "dnn", "controls": "none", "set": FAST, **options}
    return jobs.search_params(data, out=out, trials=trials, **given)


@pytest.fixture
def server(tmp_path, monkeypatch, home) -> Iterator[tuple[str, Callable[[], subprocess.Popen]]]:
    """A tracking server that can be started more than once."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    store = f"sqlite:///{tmp_path / 'server.db'}"
    open_store(store, "Default")
    started: list[subprocess.Popen] = []

    def start() -> subprocess.Popen:
        arguments = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--backend-store-uri",
            store,
            "--artifacts-destination",
            str(tmp_path / "artifacts"),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
        ]
        env = {
            **os.environ,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        process = subprocess.Popen(
            arguments,
            stdout=subprocess.DEVNULL,
            env=env,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        started.append(process)

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(answers)
        time.sleep(1)
        return process

    monkeypatch.setenv("CTRKIT_TRACKING_URI", url)
    yield url, start
    for process in started:
        stop(process)


def stop(process: subprocess.Popen) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_tracking_server_is_synced_after_an_outage(clicks, tmp_path, server, caplog):
    url, start = server
    process = start()
    out = tmp_path / "s"
    search(clicks, out, 1)
    stop(process)
    search(clicks, out, 3)
    start()
    assert jobs.sync(out) > 0
    client = connect(url)
    state = json.loads((out / "tracking.json").read_text())
    experiment = client.get_experiment_by_name("ctrkit").experiment_id
    parent = client.get_run(state["run_id"])
    assert parent.info.status == "FINISHED"
    assert len(client.get_metric_history(parent.info.run_id, "best_logloss")) == 3
    runs = runs_of(client, experiment)
    children = [r for r in runs if "ctrkit.trial" in r.data.tags]
    assert sorted(r.data.tags["ctrkit.trial"] for r in children) == ["0", "1", "2"]
    assert {r.data.tags["mlflow.parentRunId"] for r in children} == {parent.info.run_id}
    assert {r.info.status for r in children} == {"FINISHED"}
    assert jobs.sync(out) == 0
    assert len(runs_of(client, experiment)) == len(runs)


def test_study_is_a_tracked_run_with_trials_as_children(clicks, tmp_path, home):
    found = search(
        clicks,
        tmp_path / "s",
        3,
        set=[
            "train.batch_size=512",
            "train.epochs=3",
            "model.mlp.hidden=[8]",
            "search.prune_after=1",
            "search.warmup=0",
            "search.space.train.lr=[0.001, 0.5, 1e30]",
            "search.sampler=random",
            "search.derive=false",
        ],
        seed=4,
    )
    client, experiment = open_store(f"sqlite:///{home / 'mlflow.db'}", "ctrkit")
    runs = runs_of(client, experiment)
    children = {int(r.data.tags["ctrkit.trial"]): r for r in runs if "ctrkit.trial" in r.data.tags}
    frame = trials_of(tmp_path / "s")
    wanted = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
    assert {n: r.info.status for n, r in children.items()} == {
        row["trial"]: wanted[row["state"]] for row in frame.iter_rows(named=True)
    }
    assert {*frame["state"]} == {*wanted}
    best = children[found.record["winner"]["trial"]]
    assert best.data.tags["ctrkit.config_sha256"] == found.record["winner"]["config_sha256"]
    history = client.get_metric_history(best.info.run_id, "logloss")
    assert len(history) == 6
    parent = client.get_run(best.data.tags["mlflow.parentRunId"])
    assert parent.info.status == "FINISHED"
    artifacts = {a.path for a in client.list_artifacts(parent.info.run_id)}
    assert {"run.toml", "record.json", "report.html", "trials.parquet"} <= artifacts


@pytest.mark.slow
def test_replayed_tracking_equals_live_tracking(clicks, tmp_path, monkeypatch, caplog):
    """The same search twice: its store away and replayed, and in another store all along."""
    found = {}
    for name in ("live", "replayed"):
        uri = f"sqlite:///{tmp_path / name}.db"
        monkeypatch.setenv("CTRKIT_HOME", str(tmp_path / name))
        dead = name == "replayed"
        monkeypatch.setenv("CTRKIT_TRACKING_URI", "http://127.0.0.1:9" if dead else uri)
        search(clicks, tmp_path / name / "s", 2, seeds=2, controls="default")
        monkeypatch.setenv("CTRKIT_TRACKING_URI", uri)
        assert (jobs.sync(tmp_path / name / "s") > 0) == dead
        client, experiment = open_store(uri, "ctrkit")
        found[name] = {
            (
                r.info.run_name,
                r.info.status,
                len(r.data.params),
                *sorted(
                    (k, "" if "sha256" in k else v.replace(f"/{name}/", "/"))  # of the folder, too
                    for k, v in r.data.tags.items()
                    if k.startswith("ctrkit.")
                ),
                "mlflow.parentRunId" in r.data.tags,
            )
            for r in runs_of(client, experiment)
        }
    assert found["live"] == found["replayed"]
    assert len(found["live"]) == 6  # the search, two trials, a seed more, two of before
    told = [r for r in caplog.records if "tracking stopped" in r.message and r.levelname != "DEBUG"]
    assert len(told) == 1


def open_one(start: Barrier, stores: list[str]) -> None:
    for store in stores:
        start.wait(60)
        client, experiment = open_store(store, "together")
        client.create_run(experiment)


def four_at_once(stores: list[str]) -> None:
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(4)
    processes = [spawn.Process(target=open_one, args=(start, stores)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    assert [p.exitcode for p in processes] == [0] * 4
    for store in stores:
        client, experiment = open_store(store, "together")
        assert len(runs_of(client, experiment)) == 4


@pytest.mark.slow
def test_four_processes_share_a_new_tracking_file(tmp_path, home):
    four_at_once([f"sqlite:///{tmp_path / str(i)}.db" for i in range(5)])


@pytest.mark.postgres
def test_four_processes_share_a_new_tracking_database(fresh_database, tmp_path, home):
    four_at_once([fresh_database() for _ in range(5)])


@pytest.mark.postgres
def test_search_in_postgres_with_workers(fresh_database, clicks, tmp_path, monkeypatch):
    monkeypatch.setenv("CTRKIT_TRACKING_URI", fresh_database())
    out = tmp_path / "s"
    url = fresh_database()
    found = search(clicks, out, 4, storage=url, jobs=2, set=[*FAST, "search.study=ours"])
    assert found.record["counts"]["complete"] == 4
    assert not (out / "workers" / "study.journal").exists()
    for path in (out / "config.json", out / "record.json", out / "search.json"):
        assert url not in path.read_text()
    other = search(  # another machine: the same study
        clicks, tmp_path / "t", 4, storage=url, set=[*FAST, "search.study=ours"]
    )
    assert other.record["winner"]["values"] == found.record["winner"]["values"]
