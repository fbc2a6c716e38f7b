"""Locks of the operating system on files, free when their owner dies, with the owner's name.

They are ``flock`` locks, which POSIX systems alone have (Linux, macOS): ctrkit does not run on
Windows. On a network file system they hold between machines only if it passes ``flock`` on.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path


class Lock:
    """A lock on a file; every object is an owner of its own, also within a process.

    Args:
        path: The file, which is made; its owner is written in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self, *, wait: bool = True) -> bool:
        """Take the lock; return whether this object owns it.

        Args:
            wait: Wait until it is free; else return False at once where it is not.
        """
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            since = datetime.now().astimezone().isoformat(" ", "seconds")
            owner = {"pid": os.getpid(), "host": os.uname().nodename, "since": since}
            os.ftruncate(handle, 0)
            os.write(handle, json.dumps(owner).encode())
        except BlockingIOError:
            os.close(handle)
            return False
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        return True

    def release(self) -> None:
        """Give the lock up, if this object owns it."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        os.ftruncate(handle, 0)
        os.close(handle)

    def owner(self) -> str:
        """Return the owner in words: its process, its host, and since when to the second."""
        try:
            owner = json.loads(self.path.read_text(encoding="utf-8"))
            return f"process {owner['pid']} on {owner['host']} since {owner['since']}"
        except (OSError, ValueError, KeyError, TypeError):  # it has not written its name yet
            return "another process"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Own the lock while the block runs; wait until it is free."""
        self.acquire()
        try:
            yield
        finally:
            self.release()
