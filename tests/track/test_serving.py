"""Runs as MLflow models and behind MLflow's servers: the same predictions of raw rows."""

from __future__ import annotations

import asyncio
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
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

import ctrkit
from ctrkit import jobs
from ctrkit.errors import CtrkitError, RunFolderError
from ctrkit.testing.generated import planted_clicks
from ctrkit.track.server import MAX_BODY, MODEL_PATH, make_app
from ctrkit.track.serving import check_address, save_model, serve_command, ui_command

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


def test_a_saved_model_has_the_checksums_of_its_run(run, rows, tmp_path):
    save_model(run, tmp_path / "model")
    (weights,) = (tmp_path / "model").rglob("model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(RunFolderError, match=r"model\.safetensors' is damaged"):
        load_model(tmp_path / "model")


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
    assert "0.0.0.0" in serve_command("0.0.0.0", 1)
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


@pytest.mark.parametrize("verb", ["serve", "ui"])
def test_a_taken_port_is_one_line_before_the_server_starts(verb, run, tmp_path, monkeypatch):
    monkeypatch.setenv("CTRKIT_HOME", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        call = partial(jobs.serve, run) if verb == "serve" else partial(jobs.ui, uri="sqlite://")
        with pytest.raises(CtrkitError, match=rf"port {port} of 127.0.0.1 is taken.*--port"):
            call(port=port)
    with pytest.raises(CtrkitError, match=r"cannot listen on port 80 of '203"):
        check_address("203.0.113.1", 80)


class Reply(NamedTuple):
    """What the application answered."""

    status: int
    body: bytes

    def json(self):
        return json.loads(self.body)


def request(app, body, path="/invocations", kind=b"application/json", method="POST") -> Reply:
    """Send one request to an ASGI application, its body in parts of 1,000 bytes."""
    parts = [body[i : i + 1_000] for i in range(0, len(body), 1_000)] or [b""]
    requests = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    requests[-1]["more_body"] = False
    replies: list[dict] = []

    async def receive():
        return requests.pop(0) if requests else {"type": "http.disconnect"}

    async def send(message):
        replies.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", kind)] if kind else [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    asyncio.run(app(scope, receive, send))
    return Reply(replies[0]["status"], b"".join(r.get("body", b"") for r in replies))


@pytest.fixture(scope="module")
def app(run, tmp_path_factory):
    """The application of ``ctrkit serve`` in this process."""
    model = tmp_path_factory.mktemp("served") / "model"
    save_model(run, model)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv(MODEL_PATH, str(model))
        patch.setenv(MAX_BODY, "20000")
        patch.delenv("MLFLOW_IS_IN_SERVING_ENVIRONMENT", raising=False)
        yield make_app()


def test_the_served_application_scores_rows(app, run, rows):
    body = json.dumps({"inputs": rows}).encode()
    reply = request(app, body)
    assert reply.status == 200
    expected = ctrkit.load(run).predict(rows).tolist()
    assert reply.json()["predictions"] == pytest.approx(expected)
    assert request(app, body, kind=None).json() == reply.json()
    assert request(app, b'{"inputs": []}').json() == {"predictions": []}
    assert request(app, b"", "/ping", method="GET").status == 200


BAD_BODIES = {
    "nothing": b"",
    "not json": b"{",
    "not utf-8": b"\xff\xfe{",
    "null": b"null",
    "a list": b"[]",
    "no inputs": b'{"rows": []}',
    "inputs are null": b'{"inputs": null}',
    "inputs are text": b'{"inputs": "x"}',
    "rows are numbers": b'{"inputs": [1, 2]}',
    "unknown columns": b'{"inputs": [{"nothing": 1}]}',
    "a list as a category": b'{"inputs": [{"site": [1]}]}',
    "text as a number": b'{"inputs": [{"age": "old"}]}',
    "lists and numbers": b'{"inputs": [{"age": 3, "site": "a"}, {"age": [1], "site": "a"}]}',
    "lists and texts": b'{"inputs": [{"site": "a"}, {"site": [1]}]}',
    "an object as a value": b'{"inputs": [{"site": {"a": 1}}]}',
    "a nesting bomb": b"[" * 15_000,
    "a nesting bomb in rows": b'{"inputs": ' + b"[" * 15_000,
}


@pytest.mark.parametrize("kind", BAD_BODIES)
def test_bad_bodies_get_4xx_and_one_sentence(app, kind):
    reply = request(app, BAD_BODIES[kind])
    assert 400 <= reply.status < 500, reply
    assert reply.json().keys() == {"error"}
    sentence = reply.json()["error"]
    assert 0 < len(sentence) < 500
    for word in ("Traceback", 'File "', "/ctrkit", "site-packages", "stack", "\n"):
        assert word not in sentence


def test_a_bad_value_is_named(app):
    reply = request(app, b'{"inputs": [{"age": "old", "site": "a"}]}')
    assert "column 'age' must hold numbers; got 'old'" in reply.json()["error"]


@pytest.mark.parametrize("kind", [b"text/csv", b"application/xml", b"application/json; charset=x"])
def test_other_content_types_are_refused(app, kind):
    reply = request(app, b"a,b\n1,2", kind=kind)
    assert 400 <= reply.status < 500
    assert reply.json().keys() == {"error"}


@pytest.mark.parametrize("path", ["/invocations", "/ping"])
def test_bodies_are_bounded(app, path):
    reply = request(app, b" " * 20_001, path)
    assert reply.status == 413
    assert "20,000 bytes (--max-body)" in reply.json()["error"]


@pytest.mark.slow
@pytest.mark.parametrize("busy", [False, True])
def test_serve_stops_within_five_seconds_of_sigterm(run, rows, tmp_path, busy):
    port = free_port()
    command = [sys.executable, "-m", "ctrkit", "serve", str(run), "--port", str(port)]
    env = {**os.environ, "CTRKIT_HOME": str(tmp_path)}
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    answer(f"http://127.0.0.1:{port}/invocations", {"inputs": rows})
    with socket.socket() as client:
        if busy:  # a request that does not end
            client.connect(("127.0.0.1", port))
            client.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            time.sleep(0.5)
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - start < 5
    assert b"Traceback" not in errors
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


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
