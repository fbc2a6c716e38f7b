"""Files that others read: written beside and renamed, so that a reader finds all of one or none.

Every file that another part of ctrkit, or a user, reads is written here. A full disk or a killed
process leaves the earlier file as it was.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctrkit.errors import CtrkitError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a hidden path beside ``path`` to write to; rename it to ``path`` if all went well.

    Args:
        path: The file that readers will find.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty hidden folder beside ``path`` to fill; replace ``path`` if all went well.

    Args:
        path: The folder that readers will find. What it held before is gone then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name[:16]}-", dir=path.parent))
    try:
        yield beside
        beside.chmod(0o755)
        remove(path)
        beside.rename(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder over what is at ``target``, whole or not at all."""
    if source.is_dir():
        with atomic_folder(target) as beside:
            shutil.copytree(source, beside, dirs_exist_ok=True)
    else:
        with atomic_path(target) as beside:
            shutil.copyfile(source, beside)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; text is UTF-8 with the line ends that it has."""
    data = content.encode() if isinstance(content, str) else content
    with atomic_path(path) as beside:
        beside.write_bytes(data)


def write_json(
    path: Path,
    data: object,
    *,
    sort_keys: bool = False,
    default: Callable[[Any], Any] | None = None,
) -> None:
    """Write a value as indented JSON, whole or not at all.

    Args:
        path: The file.
        data: Anything that JSON holds.
        sort_keys: Whether keys are sorted.
        default: Turns other values into some that JSON holds.
    """
    text = json.dumps(data, indent=1, sort_keys=sort_keys, default=default)
    write_atomic(path, text + "\n")


def refuse_existing(path: Path, *, force: bool) -> None:
    """Refuse a file that exists, or whose folder does not.

    Raises:
        CtrkitError: Says which.
    """
    if path.exists() and not force:
        raise CtrkitError(f"{str(path)!r} exists; name another file or overwrite it with --force")
    if not path.parent.is_dir():
        raise CtrkitError(f"the folder {str(path.parent)!r} does not exist")


def write_text(path: Path, text: str, *, force: bool) -> None:
    """Write a user's text file, whole or not at all; see :func:`refuse_existing`."""
    refuse_existing(path, force=force)
    write_atomic(path, text)
