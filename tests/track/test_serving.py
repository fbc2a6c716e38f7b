"""Runs as MLflow models and behind MLflow's servers: the same predictions of raw rows."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from pathlib import Path

import polars as pl
import pytest

import ctrkit
from ctrkit import jobs
from ctrkit.errors import CtrkitError, RunFolderError
from ctrkit.testing.generated import planted_clicks
from ctrkit.track.serving import save_model, serve_command, ui_command

PLUGIN = Path(__file__).parents[1] / "plugins" / "my_cross.py"


@pytest.fixture(scope="module")
def clicks(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clicks") / "clicks.parquet"
    frame = planted_clicks(2_000, seed=3)[0].drop("time")
    ids = pl.int_range(2_000) % 50 + 2**60  # beyond a float's integers
    frame.with_columns(id=ids).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def run(clicks, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("r") / "run"
    return jobs.train(
        clicks, label="click", model="lr", out=out, set=["train.epochs=1"], categorical=["id"]
    ).folder


@pytest.fixture
def rows(clicks) -> list[dict]:
    found = pl.read_parquet(clicks).drop("click").head(4).to_dicts()
    found[1]["id"] = None  # a table of these rows would make a float of the other ids
    del found[2]["user"]
    found[3]["site"] = "never met"
    return found


def load_model(folder: Path):
    import mlflow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mlflow.pyfunc.load_model(str(folder))


def test_run_is_saved_as_an_mlflow_model_without_a_pickle(run, rows, tmp_path):
    save_model(run, tmp_path / "model")
    model = load_model(tmp_path / "model")
    expected = ctrkit.load(run).predict(rows)
    assert model.predict(rows) == pytest.approx(expected.tolist())
    assert len(set(expected)) == 4
    names = [p.name for p in (tmp_path / "model").rglob("*")]
    assert not [n for n in names if n.endswith((".pkl", ".pickle"))]
    assert "predictions" not in names


def test_plugins_need_consent(clicks, tmp_path):
    run = jobs.train(
        clicks,
        label="click",
        model="my_cross",
        plugins=[PLUGIN],
        out=tmp_path / "run",
        set=["train.epochs=1"],
    ).folder
    with pytest.raises(RunFolderError, match="--trust-plugins"):
        save_model(run, tmp_path / "model")
    save_model(run, tmp_path / "model", trust_plugins=True)
    frame = pl.read_parquet(clicks).head(2).drop("click")
    found = load_model(tmp_path / "model").predict(frame.to_dicts())
    assert found == pytest.approx(ctrkit.load(run, trust_plugins=True).predict(frame).tolist())


@pytest.mark.slow
def test_run_is_registered(run, tmp_path, monkeypatch):
    monkeypatch.setenv("CTRKIT_HOME", str(tmp_path / "home"))
    with pytest.raises(RunFolderError, match="tracking is off"):
        jobs.register(run, "clicks")
    monkeypatch.delenv("CTRKIT_TRACKING_URI")
    store, version = jobs.register(run, "clicks")
    assert version == "1"
    assert jobs.register(run, "clicks")[1] == "2"
    from ctrkit.track.client import connect

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = connect(store).get_model_version("clicks", "1")
    state = json.loads((run / "tracking.json").read_text())
    assert found.run_id == state["run_id"]
    (run / "tracking.json").unlink()


def test_servers_listen_on_loopback_by_default(tmp_path, monkeypatch):
    monkeypatch.setenv("CTRKIT_HOME", str(tmp_path))
    for verb in (jobs.serve, jobs.ui):
        assert verb.__kwdefaults__["host"] == "127.0.0.1"
    assert "0.0.0.0" in serve_command(tmp_path, "0.0.0.0", 1)
    command = ui_command(f"sqlite:///{tmp_path / 'x.db'}", "127.0.0.1", 7)
    assert command[-6:] == ["--host", "127.0.0.1", "--port", "7", "--workers", "1"]
    assert (tmp_path / "x.db").is_file()
    with pytest.raises(CtrkitError, match="tracking is off"):
        jobs.ui()
    said: list[str] = []
    jobs.ui(uri="http://tracking.example:5000", started=said.append)
    assert said == ["http://tracking.example:5000"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(url: str, data: object = None) -> bytes:
    body = None if data is None else json.dumps(data).encode()
    headers = {"Content-Type": "application/json"}
    deadline = time.monotonic() + 120
    while True:
        try:
            request = urllib.request.Request(url, body, headers)
            with urllib.request.urlopen(request, timeout=20) as reply:
                return bytes(reply.read())
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["serve", "ui"])
def test_servers_answer(verb, run, rows, tmp_path):
    port = free_port()
    env = {**os.environ, "CTRKIT_HOME": str(tmp_path)}
    env.pop("CTRKIT_TRACKING_URI")
    more = [str(run)] if verb == "serve" else []
    command = [sys.executable, "-m", "ctrkit", verb, *more, "--port", str(port)]
    process = subprocess.Popen(
        command,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        if verb == "ui":
            assert b"MLflow" in answer(f"http://127.0.0.1:{port}")
        else:
            url = f"http://127.0.0.1:{port}/invocations"
            found = json.loads(answer(url, {"inputs": rows}))["predictions"]
            assert found == pytest.approx(ctrkit.load(run).predict(rows).tolist())
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
