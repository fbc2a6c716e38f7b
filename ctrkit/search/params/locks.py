"""OS locks in a search folder: they are released when the process that holds one dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ctrkit.runs.folder import WORKERS


class TrialLocks:
    """The locks of one search folder.

    Args:
        folder: The search folder; :attr:`turn` is the lock for claiming trials in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute() / WORKERS  # valid from any folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.turn = FileLock(str(self.folder / "turn.lock"))

    def trial(self, number: int) -> FileLock:
        """Return the lock that a worker holds while it runs an attempt."""
        return FileLock(str(self.folder / f"{number}.lock"))

    def is_free(self, number: int) -> bool:
        """Return whether no worker runs an attempt."""
        return _free(self.trial(number))

    @contextmanager
    def command(self) -> Iterator[None]:
        """Show that this command lives while the block runs."""
        lock = FileLock(str(self._of_command(os.getpid())), blocking=False)
        try:
            lock.acquire()
        except Timeout:  # another thread runs the same search
            yield
            return
        try:
            yield
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()

    def command_lives(self, process: int | None) -> bool:
        """Return whether the command with a process number lives."""
        path = self._of_command(process or 0)
        return path.is_file() and not _free(FileLock(str(path)))

    def _of_command(self, process: int) -> Path:
        return self.folder / f"command-{process}.lock"


def _free(lock: FileLock) -> bool:
    try:
        with lock.acquire(blocking=False):
            return True
    except Timeout:
        return False
