"""Atomic writes: a reader finds a whole file or none.

Contents go to a hidden file in the same folder, which is then renamed. Every file that another
part of ctrkit, or a user, reads is written with these functions: a full disk or a killed process
leaves the earlier file as it was. A hidden folder is locked while it is filled, so that one without
an owner is known to be left by a killed process.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ctrkit.errors import CtrkitError, RunFolderError

_LONGEST = 16
"""Characters of a folder's name in the name of its hidden folder."""
_BLOCK = 4096
_HIDDEN_FOLDER = re.compile(r"\..{0,16}-[a-z0-9_]{8}")
_HIDDEN_FILE = re.compile(r"\.(.+)\.\d+")


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
    remove_abandoned(path.parent, path.name)
    with hidden_folder(path) as temporary:
        yield temporary
        remove(path)
        temporary.rename(path)


def remove_abandoned(parent: Path, name: str | None = None) -> None:
    """Remove the hidden folders of :func:`atomic_folder` that no living process fills.

    Args:
        parent: The folder that they are in.
        name: Name of the folder that they were to become; None: of any.
    """
    start = "." if name is None else f".{name[:_LONGEST]}-"
    for path in parent.iterdir():
        if path.name.startswith(start) and _HIDDEN_FOLDER.fullmatch(path.name):
            with _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB) as locked:
                if locked:
                    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def hidden_folder(path: Path) -> Iterator[Path]:
    """Give an empty hidden folder beside ``path``, locked; remove it if it is still there."""
    while True:
        temporary = path.with_name(f".{path.name[:_LONGEST]}-{secrets.token_hex(4)}")
        temporary.mkdir()  # tempfile.mkdtemp would give it a mode of its own
        with _locked(temporary, fcntl.LOCK_EX):
            if not temporary.exists():  # another process took it for abandoned before the lock
                continue
            try:
                yield temporary
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            return


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[bool]:
    """Lock a folder as ``flock`` does; give whether that worked (some file systems cannot)."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, how)
            locked = True
        except OSError:
            locked = False
        yield locked
    finally:
        os.close(handle)  # which unlocks it


def remove_unfinished(parent: Path, names: Collection[str] | None = None) -> None:
    """Remove what killed processes left of :func:`atomic_path` and :func:`atomic_folder`.

    Call it only where no other process writes into the folder.

    Args:
        parent: The folder; it need not exist.
        names: Names of the files that were to be written; None: any.
    """
    if not parent.is_dir():
        return
    remove_abandoned(parent)
    for path in parent.iterdir():
        match = _HIDDEN_FILE.fullmatch(path.name)
        if match and (names is None or match[1] in names):
            path.unlink(missing_ok=True)


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder over what is at ``target``, whole or not at all."""
    if source.is_dir():
        with atomic_folder(target) as temporary:
            shutil.copytree(source, temporary, dirs_exist_ok=True)
    else:
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there; no reader finds half a folder."""
    if path.is_dir() and not path.is_symlink():
        with hidden_folder(path) as temporary:
            path.rename(temporary / path.name)
    else:
        path.unlink(missing_ok=True)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; text is encoded as UTF-8, its line ends are kept."""
    data = content.encode() if isinstance(content, str) else content
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def cut_half_line(path: Path) -> None:
    """Remove what a killed process left of the last line of a file; the file need not exist."""
    with suppress(FileNotFoundError), path.open("r+b") as file:
        end = size = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            file.truncate(end)


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


def inside(folder: Path, name: str, path: Path) -> Path:
    """Return the path of a file that another file names, which must lie in a folder.

    Args:
        folder: The folder.
        name: Path of the file, relative to the folder.
        path: The file that names it.

    Raises:
        RunFolderError: It leads out of the folder.
    """
    if not _is_inside(folder / name, folder):
        raise RunFolderError(
            f"{str(path)!r} names {name!r}, which lies outside of the folder {str(folder)!r}"
        )
    return folder / name


def refuse_links(folder: Path) -> None:
    """Refuse a folder in which a symbolic link leads out of it.

    A folder may have come from someone else: what such a link points to would be read, sent to the
    tracking store, or overwritten.

    Raises:
        RunFolderError: There is one; the message names it.
    """
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            link = os.path.join(parent, name)
            if os.path.islink(link) and not _is_inside(Path(link), folder):
                raise RunFolderError(
                    f"{link!r} is a link that leads out of the folder {str(folder)!r} (to "
                    f"{os.readlink(link)!r}); remove it, or put the file there"
                )


def _is_inside(path: Path, folder: Path) -> bool:
    """Return whether a path, its links followed, lies in a folder."""
    root = os.path.realpath(folder)
    return os.path.commonpath([os.path.realpath(path), root]) == root


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
