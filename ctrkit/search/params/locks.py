"""OS locks in a search folder: they are released when the process that holds one dies."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

WORKERS = "workers"
"""Subfolder of a search folder for locks, logs and the journal."""


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
        try:
            with self.trial(number).acquire(blocking=False):
                return True
        except Timeout:
            return False
