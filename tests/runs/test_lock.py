"""One process at a time works in a folder."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ctrkit.errors import RunFolderError
from ctrkit.runs.lock import folder_lock
from ctrkit.testing.generated import planted_clicks

OWNER = """
import sys, time
from pathlib import Path
from ctrkit.runs.lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("owned", flush=True)
    time.sleep(60)
"""


@contextmanager
def owned(folder: Path) -> Iterator[subprocess.Popen]:
    """Let another process own a folder; kill it after the block."""
    command = [sys.executable, "-c", OWNER, folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"owned\n"
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


@pytest.fixture(scope="module")
def clicks(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clicks") / "clicks.parquet"
    planted_clicks(1_000, seed=3)[0].write_parquet(path)
    return path


def test_a_second_owner_is_refused_and_the_first_named_until_it_dies(tmp_path):
    with owned(tmp_path / "run") as process:
        (tmp_path / "link").symlink_to(tmp_path / "run")
        for path in (tmp_path / "run", tmp_path / "link", tmp_path / "." / "run"):
            words = rf"in use by process {process.pid} on \S+ since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"
            with pytest.raises(RunFolderError, match=words) as refused, folder_lock(path):
                pass
            assert "\n" not in str(refused.value)
        with folder_lock(tmp_path / "other"):
            pass
    with folder_lock(tmp_path / "run"):
        assert not (tmp_path / "run").exists()


def test_a_folder_is_owned_once_within_a_process_and_free_after_an_error(tmp_path):
    with (
        pytest.raises(RunFolderError, match=f"process {os.getpid()} "),
        folder_lock(tmp_path),
        folder_lock(tmp_path),
    ):
        pass
    with folder_lock(tmp_path):
        pass


@pytest.mark.parametrize("verb", ["rank", "encode", "train", "search features"])
def test_a_command_in_the_folder_of_another_exits_with_one_line(tmp_path, clicks, verb):
    command = [sys.executable, "-m", "ctrkit", *verb.split(), str(clicks), "--label", "click"]
    command += ["-o", str(tmp_path / "out")]
    with owned(tmp_path / "out") as process:
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 2
    error = second.stderr.strip()
    assert re.search(rf"in use by\s+process\s+{process.pid}\b", error), error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_two_identical_commands_at_once_train_once(tmp_path, clicks):
    command = [sys.executable, "-m", "ctrkit", "train", str(clicks), "--label", "click"]
    command += ["--model", "lr", "-o", str(tmp_path / "run"), "--set", "train.epochs=1"]
    pair = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate()[1] for process in pair]
    codes = sorted(process.returncode for process in pair)
    assert codes in ([0, 2], [0, 0]), errors  # both: the second found the run finished
    assert any("in use by" in e or "already holds this run" in e for e in errors), errors
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == sorted(set(steps)), "a step was trained twice"
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["rank", "encode", "train"])
@pytest.mark.parametrize("where", ["in one folder", "in two"])
def test_identical_commands_at_once_never_corrupt_or_die(tmp_path, clicks, verb, where):
    home = {**os.environ, "CTRKIT_HOME": str(tmp_path / "home")}  # they build the same entries
    command = [sys.executable, "-m", "ctrkit", verb, str(clicks), "--label", "click"]
    outs = [tmp_path / ("out" if where == "in one folder" else str(i)) for i in range(3)]
    processes = [
        subprocess.Popen([*command, "-o", str(out)], stderr=subprocess.PIPE, text=True, env=home)
        for out in outs
    ]
    for process in processes:
        error = process.communicate()[1]
        refused = re.search(r"in\s+use\s+by\s+process|--force", error)
        assert process.returncode == 0 or (process.returncode == 2 and refused), error
        assert "Traceback" not in error
        assert process.returncode == 0 or where == "in one folder", error
    assert 0 in [process.returncode for process in processes]
    again = subprocess.run([*command, "-o", str(tmp_path / "again")], env=home, check=True)
    assert again.returncode == 0
    name = {"rank": "rank.parquet", "encode": "encoder/encoder.json", "train": "model.safetensors"}
    for out in outs:
        assert (out / name[verb]).read_bytes() == (tmp_path / "again" / name[verb]).read_bytes()
        assert not [p for p in out.parent.rglob(".*") if p.name != ".lock"]
