"""Folders looked up by a hash of their content; the least recently used are removed first."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctrkit.checksums import damaged_file, write_checksums
from ctrkit.files import atomic_folder, remove, remove_abandoned
from ctrkit.locks import Lock

logger = logging.getLogger(__name__)


def home() -> Path:
    """Return ctrkit's own folder: ``CTRKIT_HOME``, by default ``~/.ctrkit``."""
    return Path(os.environ.get("CTRKIT_HOME") or Path.home() / ".ctrkit")


def cache_key(facts: Mapping[str, Any]) -> str:
    """Return the sha256 of the facts that determine a folder's content."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Scratch:
    """A folder that is removed when this object dies."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ctrkit-"))
        weakref.finalize(self, _scrap, self.folder, os.getpid())


def _scrap(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def build_folder(folder: Path, build: Callable[[Path], None]) -> None:
    """Build a folder as a whole; a failure leaves nothing behind.

    An earlier folder of that name is replaced.

    Args:
        folder: The folder.
        build: Fills an empty folder.
    """
    with atomic_folder(folder) as temporary:
        build(temporary)


@dataclass(frozen=True)
class Entry:
    """A folder of the cache, protected from removal while this object lives.

    Attributes:
        folder: The folder.
        hit: Whether it was in the cache already.
        lock: File next to the folder, locked while the folder is in use.
    """

    folder: Path
    hit: bool
    lock: Lock = field(repr=False)

    def release(self) -> None:
        """Allow the removal of the folder from now on."""
        _drop(self.lock, os.getpid())


def cached(root: Path, key: str, build: Callable[[Path], None], limit: int) -> Entry:
    """Return the folder of ``key``; build it if it is not in the cache, or damaged there.

    The checksums of its files are beside it; an entry of an earlier version has none.

    Args:
        root: Folder of the cache.
        key: See :func:`cache_key`.
        build: Fills an empty folder.
        limit: Maximum size in bytes; beyond it the least recently used folders are removed, except
            those in use.
    """
    root.mkdir(parents=True, exist_ok=True)
    remove_abandoned(root)
    folder = root / key
    lock = Lock(root / f"{key}.lock")
    if not lock.acquire(wait=False):
        logger.info("waiting for %s, which builds the same entry of the cache", lock.owner())
        lock.acquire()
    try:
        checksums = root / f"{key}.crc32.json"
        hit = folder.is_dir()
        damaged = damaged_file(folder, checksums) if hit else ""
        if damaged:
            hit = False
            logger.warning("%r in the cache is damaged; it is built again", str(folder / damaged))
        if not hit:
            checksums.unlink(missing_ok=True)
            build_folder(folder, build)
            write_checksums(checksums, folder)
        os.utime(folder)
        for stale in root.glob(f"{key}.use-*"):  # of processes that were killed
            _forget(Lock(stale))
        mark = Lock(root / f"{key}.use-{uuid.uuid4().hex}")
        mark.acquire()
    finally:
        lock.release()
    entry = Entry(folder, hit, mark)
    weakref.finalize(entry, _drop, mark, os.getpid())
    with Lock(root / "evict.lock").held():
        _evict(root, limit)
    return entry


def _drop(mark: Lock, owner: int) -> None:
    if os.getpid() != owner:  # a forked child does not release what its parent uses
        return
    mark.release()
    mark.path.unlink(missing_ok=True)


def _evict(root: Path, limit: int) -> None:
    folders = [p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")]
    sizes = {p: sum(f.stat().st_size for f in p.rglob("*") if f.is_file()) for p in folders}
    total = sum(sizes.values())
    for folder in sorted(folders, key=lambda p: p.stat().st_mtime):
        if total <= limit:
            return
        if _remove(folder):
            total -= sizes[folder]


def _remove(folder: Path) -> bool:
    """Remove a folder unless a process builds, opens or uses it; return whether it was removed."""
    lock = Lock(folder.parent / f"{folder.name}.lock")
    try:
        if not lock.acquire(wait=False):
            return False
        for mark in folder.parent.glob(f"{folder.name}.use-*"):
            if not _forget(Lock(mark)):
                return False
        (folder.parent / f"{folder.name}.crc32.json").unlink(missing_ok=True)
        remove(folder)
    except OSError:
        return False
    finally:
        lock.release()
    return True


def _forget(mark: Lock) -> bool:
    """Remove the mark of a process that died; return False if it lives and uses the folder."""
    if not mark.acquire(wait=False):
        return False
    mark.path.unlink(missing_ok=True)
    mark.release()
    return True
