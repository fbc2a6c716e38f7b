"""One process at a time in a folder: a lock of the operating system, free when its owner dies."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ctrkit.data.store.cache import cache_key, home
from ctrkit.errors import RunFolderError
from ctrkit.files import write_json


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Own a folder, which need not exist yet, while the block runs.

    The lock and the name of its owner are below ``CTRKIT_HOME/locks``, so that a job which fails
    leaves no trace in the folder.

    Args:
        folder: The folder; every path to it is the same folder.

    Raises:
        RunFolderError: Another process, or another thread, owns the folder. The message names it.
    """
    locks = home() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    name = cache_key({"owned": str(folder.resolve())})[:16]
    owner = locks / f"{name}.json"
    lock = FileLock(locks / f"{name}.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise RunFolderError(
            f"the folder {str(folder)!r} is in use by {_owner(owner)}; wait until it ends, or "
            "name another folder with -o"
        ) from None
    try:
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        write_json(owner, {"pid": os.getpid(), "host": socket.gethostname(), "since": since})
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _owner(path: Path) -> str:
    """Return the owner of a lock in words."""
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return f"process {owner['pid']} on {owner['host']} since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has not written its name yet
        return "another process"
