import gc
import logging
import os
import subprocess
import sys
import threading

import pytest

from ctrkit.data.store.cache import build_folder, cache_key, cached, home

HOLD = """
import sys
import threading
from pathlib import Path
from ctrkit.data.store.cache import cached
entry = cached(Path(sys.argv[1]), "a", lambda folder: None, 10**9)
print("held", flush=True)
sys.stdin.read()
"""


def _write(folder):
    (folder / "file").write_bytes(b"x" * 1000)


def _use(root, key, limit=10**9):
    return cached(root, key, _write, limit)


def test_the_least_recently_used_goes_first(tmp_path):
    for key in "abc":
        _use(tmp_path, key).release()
    _use(tmp_path, "a").release()
    entry = _use(tmp_path, "d", limit=2000)
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {"a", "d"}
    assert not entry.hit
    assert _use(tmp_path, "a").hit


def test_an_entry_in_use_is_kept(tmp_path):
    held = _use(tmp_path, "a")
    other = _use(tmp_path, "b", limit=0)
    assert (held.folder / "file").is_file()
    assert (other.folder / "file").is_file()
    del held
    gc.collect()
    last = _use(tmp_path, "c", limit=0)
    assert not (tmp_path / "a").exists()
    assert last.folder.is_dir()
    assert len(list(tmp_path.glob("*.use-*"))) == 2


def test_another_process_keeps_its_entry_until_it_is_killed(tmp_path):
    _use(tmp_path, "a").release()
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        _use(tmp_path, "b", limit=0).release()
        assert (tmp_path / "a" / "file").is_file()
        other.kill()
    _use(tmp_path, "b", limit=0).release()
    assert not (tmp_path / "a").exists()
    assert not list(tmp_path.glob("a.use-*"))


def test_a_failed_build_leaves_the_old_folder_and_nothing_else(tmp_path):
    def fail(folder):
        _write(folder)
        raise ValueError("stop")

    build_folder(tmp_path / "out", _write)
    with pytest.raises(ValueError, match="stop"):
        build_folder(tmp_path / "out", fail)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "file").is_file()


def test_the_key_is_a_function_of_the_facts_alone():
    assert cache_key({"a": 1, "b": [2]}) == cache_key({"b": [2], "a": 1})
    assert cache_key({"a": 1}) != cache_key({"a": 2})


def test_home_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("CTRKIT_HOME", str(tmp_path))
    assert home() == tmp_path
    monkeypatch.delenv("CTRKIT_HOME")
    assert home().name == ".ctrkit"


BUILD = """
import sys
import threading
from pathlib import Path
from ctrkit.data.store.cache import cached
def build(folder):
    (folder / "half").touch()
    print("building", flush=True)
    sys.stdin.read()
cached(Path(sys.argv[1]), sys.argv[2], build, 10**9)
"""


def test_what_a_killed_build_left_is_removed_by_any_later_use(tmp_path):
    command = [sys.executable, "-c", BUILD, str(tmp_path), "a" * 64]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "building\n"
        _use(tmp_path, "b").release()
        assert len(list(tmp_path.glob(".a*"))) == 1
        other.kill()
    _use(tmp_path, "b").release()
    assert list(tmp_path.glob(".a*")) == []
    assert not _use(tmp_path, "a" * 64).hit


@pytest.mark.parametrize("damage", ["flipped", "shorter", "deleted", "checksums cut"])
def test_a_damaged_entry_is_built_again_with_a_warning(tmp_path, caplog, damage):
    def build(folder):
        (folder / "encoder").mkdir()
        (folder / "encoder" / "site.txt").write_text("a\nb\n")
        (folder / "train.arrow").write_bytes(bytes(3_000_000))

    for name in ("train.arrow", "encoder/site.txt"):
        cached(tmp_path, "a", build, 10**9).release()
        path = tmp_path / "a" / name
        content = path.read_bytes()
        times = path.stat()
        if damage == "flipped":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        elif damage == "shorter":
            path.write_bytes(content[:-1])
        elif damage == "deleted":
            path.unlink()
        else:
            checksums = tmp_path / "a.crc32.json"
            checksums.write_text(checksums.read_text()[:-5])
            name = "a.crc32.json"
        caplog.clear()
        entry = cached(tmp_path, "a", build, 10**9)
        assert not entry.hit
        assert name in caplog.text
        assert len(caplog.records) == 1
        assert path.read_bytes() == content
        entry.release()
        assert cached(tmp_path, "a", build, 10**9).hit


def test_an_entry_of_an_earlier_version_has_no_checksums_and_is_used(tmp_path):
    _use(tmp_path, "a").release()
    (tmp_path / "a.crc32.json").unlink()
    assert _use(tmp_path, "a").hit


def test_checksums_are_removed_with_their_entry(tmp_path):
    _use(tmp_path, "a").release()
    _use(tmp_path, "b", limit=0).release()
    assert [p.name for p in tmp_path.glob("*.crc32.json")] == ["b.crc32.json"]


LONG_BUILD = """
import sys, time
from pathlib import Path
from ctrkit.data.store.cache import cached
def build(folder):
    (folder / "part").write_text("half")
    print("building", flush=True)
    time.sleep(60)
cached(Path(sys.argv[1]), "key", build, 10**9)
"""


def test_a_builder_is_named_to_those_that_wait_and_what_it_leaves_when_killed_is_removed(
    tmp_path, caplog
):
    command = [sys.executable, "-c", LONG_BUILD, tmp_path]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as builder,
        caplog.at_level(logging.INFO, logger="ctrkit"),
    ):
        assert builder.stdout is not None
        assert builder.stdout.readline() == b"building\n"
        threading.Timer(0.2, builder.kill).start()
        entry = cached(tmp_path, "key", lambda folder: (folder / "part").write_text("x"), 10**9)
    assert (entry.folder / "part").read_text() == "x"
    assert f"waiting for process {builder.pid} on " in caplog.text
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_the_mark_of_a_killed_process_is_removed_by_the_next_user(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        mine = _use(tmp_path, "a")
        assert len(list(tmp_path.glob("a.use-*"))) == 2
        holder.kill()
    other = _use(tmp_path, "a")
    assert len(list(tmp_path.glob("a.use-*"))) == 2
    for entry in (mine, other):
        entry.release()
    assert list(tmp_path.glob("a.use-*")) == []
