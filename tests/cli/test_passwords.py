"""A password in an address is in no file, no output and no argument of a child process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from command_line import FAST, fails_in_one_line

SECRET = "hunter2Qz"
PASSWORD = f"{SECRET}@x/%y"
"""It holds what ends a password for some readers of addresses."""
LABEL = ("--label", "click", "--model", "lr")
DEAD = f"http://me:{PASSWORD}@127.0.0.1:9"
"""A store that does not answer."""


def store(path: Path) -> str:
    """Return the address of an SQLite database that ignores a password."""
    return f"sqlite:///file:{path}?uri=true&password={quote(PASSWORD)}"


def leaks(*folders: Path) -> list[str]:
    """Return the files that hold the password."""
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [str(path) for path in files if SECRET.encode() in path.read_bytes()]


def has_no_password(*results) -> None:
    for result in results:
        assert SECRET not in result.out + result.err, result


@pytest.fixture
def place(tmp_path, monkeypatch, clicks) -> Path:
    """A folder with rows that the server has, and a home."""
    (tmp_path / "clicks.parquet").write_bytes(clicks.read_bytes())
    monkeypatch.setenv("CTRKIT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CTRKIT_TRACKING_URI")
    return tmp_path


@pytest.fixture
def address(server, place) -> str:
    return f"{server.replace('//', f'//me:{quote(SECRET)}@')}/clicks.parquet?token={PASSWORD}"


def test_a_run_holds_no_password_and_resumes_with_it(ctrkit, place, address):
    run = place / "run"
    command = ("train", address, *LABEL, *FAST, f"--set=track.uri={DEAD}", "-o", run)
    trained = ctrkit(*command)
    assert trained.code == 0, trained
    assert "http://me:***@127.0.0.1:9 failed" in trained.err
    again = ctrkit(*command)
    assert "already holds this run" in again.err
    has_no_password(trained, again)
    scored = ctrkit("predict", run, address, "-o", place / "p.parquet")
    evaluated = ctrkit("evaluate", run, address, "-o", place / "evaluation.html")
    has_no_password(scored, evaluated)
    reported = ctrkit("report", run, "-o", place / "report.html")
    ranked = ctrkit("rank", address, "--label", "click", "-o", place / "rank")
    other = ctrkit("train", run / "config.json", "-o", place / "other")
    fails_in_one_line(other, "track.uri = 'http://me:***@", "CTRKIT_TRACKING_URI")
    untracked = "--set=track.uri=none"
    other = ctrkit("train", run / "config.json", "-o", place / "other", untracked)
    fails_in_one_line(other, "data.path", ":***@", "--set data.path=ADDRESS")
    synced = ctrkit("sync", run)
    fails_in_one_line(synced, "http://me:***@127.0.0.1:9", "--uri", "CTRKIT_TRACKING_URI")
    has_no_password(reported, ranked, other, synced)
    absent = ctrkit("train", address.replace("clicks", "absent"), "--label", "click")
    fails_in_one_line(absent, "absent.parquet?token=***")
    has_no_password(absent)
    assert leaks(place) == []
    data = json.loads((run / "config.json").read_text())["data"]["path"]
    assert data.startswith("http://me:***@127.0.0.1")
    assert data.endswith("?token=***")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["train", "{rows}", *LABEL, *FAST, "--set=track.uri={other}"], []),
        (["search", "params", "{rows}", *LABEL, "--storage", "{other}"], ["search.storage"]),
        (["search", "params", "{rows}", *LABEL, "--storage", "postgres:ql"], ["search.storage"]),
        (["ui", "--uri", "{other}"], []),
        (["sync", "{place}/run", "--uri", "{other}"], ["does not answer"]),
        (["train", "{rows}", "--label", "click", "--set=data.split={other}"], ["data.split"]),
        (["train", "{rows}", "--label", "click", "--set=model.name={other}"], []),
        (["train", "{other}", "--label", "click"], []),
        (["sync", "{place}/run", "--uri", "{strange}"], ["strange://me:***@"]),
        (["ui", "--uri", "{strange}"], ["strange://me:***@"]),
        (["search", "params", "{rows}", *LABEL, "--storage", "{strange}"], ["strange://me:***@"]),
        (["train", "{rows}", *LABEL, "--set", "{other}"], []),
        (["train", "{place}/own.toml", *LABEL], ["track.uri"]),
    ],
)
def test_messages_hold_no_password(ctrkit, place, options, words, run_folder, monkeypatch):
    shutil.copytree(run_folder, place / "run")
    monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 1)
    (place / "own.toml").write_text(f'[track]\nuri = ["{DEAD}"]\n')
    texts = {
        "rows": str(place / "clicks.parquet"),
        "other": f"postgresql://me:{PASSWORD}@127.0.0.1:9/db?sslpassword={PASSWORD}",
        "strange": f"strange://me:{PASSWORD}@127.0.0.1:9",
        "place": str(place),
    }
    out = () if options[0] in ("ui", "sync") else ("-o", place / "o")
    result = ctrkit(*(o.format(**texts) for o in options), *out)
    has_no_password(result)
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err
    (place / "own.toml").unlink()
    assert leaks(place) == []


def arguments_of_children() -> str:
    """Return the arguments of all processes of this user but this one, such as pytest's."""
    texts = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        if path.parent.name != str(os.getpid()):
            try:
                texts.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return "\n".join(texts)


COMMON = (
    'url, label="click", model="lr", '
    'set=["train.epochs=1", "train.batch_size=512", "train.evals_per_epoch=1"]'
)
JOBS = {
    "run": [
        f'jobs.train({COMMON}, out="run"); jobs.sync("run")',
        'jobs.register("run", "clicks")',
        'jobs.rank(url, label="click", out="rank")',
    ],
    "params": [
        f'jobs.search_params({COMMON}, out="params", trials=2, jobs=2)',
        f'jobs.search_params({COMMON}, out="params", trials=3, jobs=2); jobs.sync("params")',
        'jobs.train("params/run.toml", out="again", set=["data.path=" + url])',
    ],
    "features": [f'jobs.search_features({COMMON}, out="features", target_ratio=[0.5])'],
    "pipeline": [
        f'jobs.search_pipeline({COMMON}, out="pipeline", trials=1, controls="none", '
        'skip=["features", "interactions"])'
    ]
    * 2,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
def test_searches_stores_and_processes_hold_no_password(place, address, name):
    (place / "home").mkdir()
    env = {
        **os.environ,
        "CTRKIT_TRACKING_URI": store(place / "home/mlflow.db"),
        "CTRKIT_SEARCH_STORAGE": store(place / "home/optuna.db"),
    }
    for code in JOBS[name]:
        process = subprocess.Popen(
            [sys.executable, "-c", f"from ctrkit import jobs\nurl = input()\n{code}"],
            cwd=place,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        seen = ""
        with process:
            process.stdin.write(address + "\n")  # no argument of the test's own has it
            process.stdin.close()
            while process.poll() is None:
                seen += arguments_of_children()
                time.sleep(0.1)
            output = process.stdout.read()
        assert process.returncode == 0, output
        assert SECRET not in output
        assert SECRET not in seen
        assert ("ctrkit.search.params.worker" in seen) == ("jobs=2" in code)
    assert (place / "home/mlflow.db").is_file()
    assert (place / "home/optuna.db").is_file() == (name in ("params", "pipeline"))
    assert leaks(place) == []


@pytest.mark.slow
def test_the_arguments_of_the_interface_hold_no_password(place):
    env = {**os.environ, "CTRKIT_TRACKING_URI": store(place / "mlflow.db")}
    command = [sys.executable, "-m", "ctrkit", "ui", "--port", "50123"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, text=True)
    seen = ""
    deadline = time.monotonic() + 60
    while "mlflow server" not in seen and time.monotonic() < deadline:
        time.sleep(0.1)
        seen = arguments_of_children()
    time.sleep(8)  # MLflow starts a server of its own
    seen += arguments_of_children()
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert "mlflow server" in seen
    assert SECRET not in seen
    assert leaks(place) == []
