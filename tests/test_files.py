"""A file that others read is whole or not there."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ctrkit import jobs
from ctrkit.errors import CtrkitError
from ctrkit.files import (
    atomic_folder,
    atomic_path,
    copy,
    remove,
    remove_unfinished,
    write_atomic,
    write_json,
    write_text,
)
from ctrkit.testing.generated import planted_clicks


def write_half(path: Path) -> None:
    with atomic_path(path) as beside:
        beside.write_text("sec")
        raise OSError("disk full")


def fill_half(path: Path) -> None:
    with atomic_folder(path) as beside:
        (beside / "new").touch()
        raise OSError("disk full")


def test_a_failed_write_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "record.json"
    write_atomic(path, "first\n")
    with pytest.raises(OSError, match="full"):
        write_half(path)
    assert path.read_text() == "first\n"
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def test_text_is_utf8_and_bytes_are_kept(tmp_path):
    write_atomic(tmp_path / "a", "é\r\n")
    assert (tmp_path / "a").read_bytes() == "é\r\n".encode()
    write_atomic(tmp_path / "a", b"\x00")
    assert (tmp_path / "a").read_bytes() == b"\x00"


def test_json_is_read_back(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": [None, "ü"]}, sort_keys=True)
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"a": [None, "ü"], "b": 1}
    assert text.index('"a"') < text.index('"b"')
    assert text.endswith("\n")


def test_user_file_is_overwritten_only_with_force(tmp_path):
    write_text(tmp_path / "a", "1", force=False)
    with pytest.raises(CtrkitError, match="exists"):
        write_text(tmp_path / "a", "2", force=False)
    write_text(tmp_path / "a", "2", force=True)
    assert (tmp_path / "a").read_text() == "2"
    with pytest.raises(CtrkitError, match="does not exist"):
        write_text(tmp_path / "b" / "a", "1", force=False)


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "encoder"
    with atomic_folder(path) as beside:
        (beside / "old").touch()
    with pytest.raises(OSError, match="full"):
        fill_half(path)
    assert [p.name for p in path.iterdir()] == ["old"]
    with atomic_folder(path) as beside:
        (beside / "new").touch()
    assert [p.name for p in path.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["encoder"]


def test_folders_that_killed_processes_left_are_removed_and_those_of_living_ones_kept(tmp_path):
    hold = (
        "import sys; from pathlib import Path; from ctrkit.files import atomic_folder\n"
        "with atomic_folder(Path(sys.argv[1])):\n print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, tmp_path / "shards"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    (tmp_path / ".keep").mkdir()
    with subprocess.Popen(command, **pipes) as living, subprocess.Popen(command, **pipes) as killed:
        assert living.stdout.readline() == killed.stdout.readline() == b"\n"
        assert len(list(tmp_path.glob(".shards-*"))) == 2
        killed.kill()
        killed.wait()
        with atomic_folder(tmp_path / "shards") as beside:
            (beside / "new").touch()
        assert len(list(tmp_path.glob(".shards-*"))) == 1
        living.kill()
        living.wait()
    (tmp_path / ".record.json.12").touch()
    (tmp_path / ".notes.txt.12").touch()
    remove_unfinished(tmp_path, ["record.json"])
    assert sorted(p.name for p in tmp_path.iterdir()) == [".keep", ".notes.txt.12", "shards"]


def test_copies_replace_files_and_folders(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "y").touch()
    copy(tmp_path / "a", tmp_path / "b")
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["x"]
    copy(tmp_path / "a" / "x", tmp_path / "b" / "z")
    assert (tmp_path / "b" / "z").read_text() == "1"
    for path in (tmp_path / "a", tmp_path / "b" / "z", tmp_path / "absent"):
        remove(path)
        assert not path.exists()


def fill_the_disk(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let every write to a file of this name end in the middle, as on a full disk."""
    for method in ("write_text", "write_bytes"):
        write = getattr(Path, method)

        def half(path: Path, data: str | bytes, *args: object, write=write, **options: object):
            if name not in path.name:
                return write(path, data, *args, **options)
            write(path, data[: len(data) // 2], *args, **options)
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

        monkeypatch.setattr(Path, method, half)


@pytest.mark.parametrize("name", ["record.json", "dataset.json", "config.json", "encoder.json"])
def test_a_run_on_a_full_disk_is_not_finished_and_the_same_command_finishes_it(
    tmp_path, monkeypatch, name
):
    clicks = tmp_path / "clicks.parquet"
    planted_clicks(1_000, seed=1)[0].write_parquet(clicks)
    options = {"label": "click", "model": "lr", "set": ["train.epochs=1", "data.cache=false"]}
    with monkeypatch.context() as patch:
        fill_the_disk(patch, name)
        with pytest.raises(OSError, match="No space left"):
            jobs.train(clicks, out=tmp_path / "run", **options)
    assert not (tmp_path / "run" / name).exists()
    assert not (tmp_path / "run" / "record.json").exists()
    result = jobs.train(clicks, out=tmp_path / "run", **options)
    before = (tmp_path / "run" / "record.json").read_bytes()
    with monkeypatch.context() as patch:
        fill_the_disk(patch, "record.json")
        with pytest.raises(OSError, match="No space left"):
            result.record.save(tmp_path / "run" / "record.json")
    assert (tmp_path / "run" / "record.json").read_bytes() == before
