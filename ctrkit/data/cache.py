"""Folders found again by content: built beside, renamed when whole, least used removed first."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock


def home() -> Path:
    """Return ctrkit's own folder: ``CTRKIT_HOME``, by default ``~/.ctrkit``."""
    return Path(os.environ.get("CTRKIT_HOME") or Path.home() / ".ctrkit")


def cache_key(facts: Mapping[str, Any]) -> str:
    """Return the sha256 of facts that determine a folder's content."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def build_folder(folder: Path, build: Callable[[Path], None]) -> None:
    """Build a folder beside its place and rename it; a failure leaves nothing behind.

    An earlier folder in that place is replaced.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name[:16]}-", dir=folder.parent))
    try:
        build(beside)
        beside.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def cached(root: Path, key: str, build: Callable[[Path], None], limit: int) -> tuple[Path, bool]:
    """Return the folder of ``key`` and whether it was there already; build it if not.

    Args:
        root: Of the cache.
        key: See :func:`cache_key`.
        build: Fills an empty folder.
        limit: Bytes; beyond it the least recently used other folders are removed.
    """
    root.mkdir(parents=True, exist_ok=True)
    folder = root / key
    with FileLock(root / f"{key}.lock"):
        hit = folder.is_dir()
        if not hit:
            build_folder(folder, build)
        os.utime(folder)
    with FileLock(root / "evict.lock"):
        _evict(root, keep=key, limit=limit)
    return folder, hit


def _evict(root: Path, keep: str, limit: int) -> None:
    folders = [p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")]
    sizes = {p: sum(f.stat().st_size for f in p.rglob("*") if f.is_file()) for p in folders}
    total = sum(sizes.values())
    for folder in sorted(folders, key=lambda p: p.stat().st_mtime):
        if total <= limit:
            return
        if folder.name != keep:
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]
