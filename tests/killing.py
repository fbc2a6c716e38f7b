"""A process that dies before its nth file operation, within the process of the test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


class Killed(BaseException):
    """Stands for SIGKILL: from it on, no clean-up of the process changes a file."""


def kill_at(patch: pytest.MonkeyPatch, folder: Path, number: int) -> list[str]:
    """Let the process die before the ``number``-th file operation in a folder.

    Returns:
        The operations that were done; at their end, ``dead``.
    """
    done: list[str] = []

    def dies(function: Callable) -> Callable:
        def operation(path, *args, **kwargs):
            if not Path(path).is_relative_to(folder):
                return function(path, *args, **kwargs)
            if len(done) >= number - 1:
                done.append("dead")
                if "dead" in done[:-1]:
                    return None
                raise Killed
            done.append(f"{function.__name__} {path}")
            return function(path, *args, **kwargs)

        return operation

    for name in ("replace", "rename", "unlink"):
        patch.setattr(Path, name, dies(getattr(Path, name)))
    patch.setattr(shutil, "rmtree", dies(shutil.rmtree))
    return done


def photograph(patch: pytest.MonkeyPatch, folder: Path, to: Path) -> None:
    """Copy a folder before each of its file operations, if it changed since the last copy.

    Each copy, ``to/0000`` and so on, is what a kill at that moment leaves.
    """
    last: list[object] = [[]]

    def copies(function: Callable) -> Callable:
        def operation(path, *args, **kwargs):
            if Path(path).is_relative_to(folder) and folder.is_dir():
                state = [(str(p), p.lstat().st_mtime_ns) for p in sorted(folder.rglob("*"))]
                if state != last[0]:
                    last[0] = state
                    place = to / f"{len(list(to.iterdir())):04d}"
                    shutil.copytree(folder, place, symlinks=True)
            return function(path, *args, **kwargs)

        return operation

    to.mkdir()
    for name in ("replace", "rename", "unlink"):
        patch.setattr(Path, name, copies(getattr(Path, name)))
    patch.setattr(shutil, "rmtree", copies(shutil.rmtree))


def left_over(folder: Path) -> list[str]:
    """Return the hidden files and folders below a folder."""
    return sorted(p.name for p in folder.rglob(".*"))


TIMES = {"seconds", "search_s", "train_examples_s"}
NUMBERS = {"retries", "trial", "folder"}
"""What may differ: how long a search took, and how its trials are numbered."""


def without(data: object, names: set[str]) -> object:
    if isinstance(data, dict):
        return {k: without(v, names) for k, v in data.items() if k not in names}
    return [without(v, names) for v in data] if isinstance(data, list) else data


def search_result(folder: Path) -> dict[str, object]:
    """What a search chose and how good it is."""
    record = without(json.loads((folder / "record.json").read_text()), TIMES | NUMBERS)
    names = ("run.toml", "schema.toml", "pairs.json", "features.parquet", "init.safetensors")
    names += ("run/model.safetensors", "run/predictions/test.parquet")
    files = {n: (folder / n).read_bytes() for n in names if (folder / n).is_file()}
    assert (folder / "report.html").is_file()
    return {"record": record, **files}
