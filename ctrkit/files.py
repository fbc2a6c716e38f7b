"""Atomic writes: a reader finds a whole file or none.

Contents go to a hidden file in the same folder, which is then renamed. Every file that another
part of ctrkit, or a user, reads is written with these functions: a full disk or a killed process
leaves the earlier file as it was.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctrkit.errors import CtrkitError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a hidden path to write to; rename it to ``path`` if the block does not raise.

    Args:
        path: The file that readers will find.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.touch()
        mode = stat.S_IMODE(temporary.stat().st_mode)
        yield temporary
        temporary.chmod(mode)  # safetensors writes files that the owner alone can read
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty hidden folder to fill; replace ``path`` by it if the block does not raise.

    Args:
        path: The folder that readers will find. What it held before is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:16]}-{secrets.token_hex(4)}")
    temporary.mkdir()  # tempfile.mkdtemp would give it a mode of its own
    try:
        yield temporary
        remove(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder over what is at ``target``, whole or not at all."""
    if source.is_dir():
        with atomic_folder(target) as temporary:
            shutil.copytree(source, temporary, dirs_exist_ok=True)
    else:
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; text is encoded as UTF-8, its line ends are kept."""
    data = content.encode() if isinstance(content, str) else content
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


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
        data: A value that JSON can hold.
        sort_keys: Whether keys are sorted.
        default: Converts other values.
    """
    text = json.dumps(data, indent=1, sort_keys=sort_keys, default=default)
    write_atomic(path, text + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        CtrkitError: It is no JSON, or nested too deeply.
        OSError: It cannot be opened.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise CtrkitError(f"{str(path)!r} cannot be read: it is nested too deeply") from None
    except ValueError as error:  # not UTF-8, not JSON
        raise CtrkitError(f"{str(path)!r} cannot be read: {error}") from error


def refuse_existing(path: Path, *, force: bool) -> None:
    """Check that a file can be written.

    Raises:
        CtrkitError: The file exists and ``force`` is off, or its folder does not exist.
    """
    if path.exists() and not force:
        raise CtrkitError(f"{str(path)!r} exists; name another file or overwrite it with --force")
    if not path.parent.is_dir():
        raise CtrkitError(f"the folder {str(path.parent)!r} does not exist")


def write_text(path: Path, text: str, *, force: bool) -> None:
    """Write a text file that a user named, whole or not at all; see :func:`refuse_existing`."""
    refuse_existing(path, force=force)
    write_atomic(path, text)
