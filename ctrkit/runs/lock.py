"""One process at a time in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctrkit.data.store.cache import cache_key, home
from ctrkit.errors import RunFolderError
from ctrkit.locks import Lock


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Own a folder, which need not exist yet, while the block runs.

    The lock is below ``CTRKIT_HOME/locks``, so that a job which fails leaves no trace in the
    folder; commands with another ``CTRKIT_HOME`` do not see it.

    Args:
        folder: The folder; every path to it is the same folder.

    Raises:
        RunFolderError: Another process, or another thread, owns the folder. The message names it.
    """
    locks = home() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = Lock(locks / f"{cache_key({'owned': str(folder.resolve())})[:16]}.lock")
    if not lock.acquire(wait=False):
        raise RunFolderError(
            f"the folder {str(folder)!r} is in use by {lock.owner()}; wait until it ends, or "
            "name another folder with -o"
        )
    try:
        yield
    finally:
        lock.release()
