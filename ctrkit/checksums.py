"""Checksums of a folder's files: a damaged file is found and named instead of computed with.

``checksums.json`` in a folder holds the CRC-32 of its files by their path, and that of this table.
A file that is not listed is not checked, as in folders of earlier
versions; a file that users may edit (``schema.toml`` of a ranking, ``run.toml``) costs a warning.
"""

from __future__ import annotations

import json
import logging
import stat
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ctrkit.errors import CtrkitError, RunFolderError
from ctrkit.files import read_json, write_json

logger = logging.getLogger(__name__)
CHECKSUMS = "checksums.json"


def write_checksums(path: Path, folder: Path, parts: Collection[str] | None = None) -> None:
    """Write the checksums of files, by their path in a folder.

    Args:
        path: The file to write.
        folder: The folder.
        parts: Paths in it of the files and folders that are covered; None: all. What is not there
            is left out.
    """
    tops = [folder] if parts is None else [folder / part for part in parts]
    files = {f for top in tops for f in (top.rglob("*") if top.is_dir() else [top]) if f.is_file()}
    _write(path, {f.relative_to(folder).as_posix(): _checksum(f) for f in files if f != path})


def damaged_file(folder: Path, checksums: Path, parts: Collection[str] | None = None) -> str:
    """Return the first file of a folder that is missing or changed; empty: none is known to be.

    Args:
        folder: The folder.
        checksums: What :func:`write_checksums` wrote; without it, nothing is known.
        parts: Paths in the folder of the files and folders that are checked; None: all.
    """
    entries = _read(checksums)
    if entries is None:
        return checksums.name
    for name, checksum in entries.items():
        if parts is not None and not _within(name, parts):
            continue
        try:
            if _checksum(folder / name) != checksum:
                return name
        except OSError:
            return name
    return ""


def check_files(folder: Path, parts: Collection[str] | None, advice: str) -> None:
    """Refuse a folder with a file that is not as it was written.

    Args:
        folder: The folder, with its ``checksums.json``; without it, nothing is checked.
        parts: Paths in it of the files and folders that are checked; None: all.
        advice: The way out, such as "train again with --force".

    Raises:
        RunFolderError: Names the first file that is missing or changed.
    """
    name = damaged_file(folder, folder / CHECKSUMS, parts)
    if name:
        raise RunFolderError(
            f"{str(folder / name)!r} is damaged: it is not as it was written; restore it, or "
            f"{advice}"
        )


def warn_if_edited(path: Path) -> None:
    """Warn of a file that users may edit if it is not as ctrkit wrote it."""
    if damaged_file(path.parent, path.parent / CHECKSUMS, [path.name]) == path.name:
        logger.warning("%r is not as ctrkit wrote it: it was edited, or is damaged", str(path))


def found_damaged(folder: Path, parts: Collection[str]) -> bool:
    """Return whether files of a folder that can be made again are damaged; warn of the first."""
    name = damaged_file(folder, folder / CHECKSUMS, parts)
    if name:
        logger.warning("%r is damaged; it is made again", str(folder / name))
        forget_checksums(folder, None if name == CHECKSUMS else parts)
    return bool(name)


def add_checksums(folder: Path, parts: Collection[str], *, create: bool = False) -> None:
    """Bring the checksums of some files of a folder up to date, if it has checksums.

    Args:
        folder: The folder.
        parts: Paths in it of files and folders; those that are not there are forgotten.
        create: Make checksums for a folder that has none.
    """
    path = folder / CHECKSUMS
    entries = _read(path)
    if entries is None or not (create or path.is_file()):
        return
    files = {f for p in parts for f in [folder / p, *(folder / p).rglob("*")] if f.is_file()}
    kept = {name: crc for name, crc in entries.items() if not _within(name, parts)}
    _write(path, kept | {f.relative_to(folder).as_posix(): _checksum(f) for f in files})


def forget_checksums(folder: Path, parts: Collection[str] | None = None) -> None:
    """Forget the checksums of files that are about to be written, or of all files."""
    path = folder / CHECKSUMS
    if parts is None:
        path.unlink(missing_ok=True)
        return
    entries = _read(path)
    if entries:
        _write(path, {name: crc for name, crc in entries.items() if not _within(name, parts)})


@contextmanager
def rewriting(folder: Path, *parts: str, create: bool = False) -> Iterator[None]:
    """Rewrite files of a folder in the block, whose checksums are forgotten meanwhile.

    A process that is killed in the block leaves files that are not checked, never a false alarm.

    Args:
        folder: The folder.
        *parts: Paths in it of files and folders.
        create: Make checksums for a folder that has none.
    """
    forget_checksums(folder, parts)
    yield
    add_checksums(folder, parts, create=create)


def _within(name: str, parts: Collection[str]) -> bool:
    return any(name == part or name.startswith(f"{part}/") for part in parts)


def _read(path: Path) -> dict[str, int] | None:
    """Return the entries of a file of checksums, none without a file; None: it is damaged."""
    try:
        data = read_json(path)
    except FileNotFoundError:
        return {}
    except (OSError, CtrkitError):
        return None
    if not isinstance(data, dict):
        return None
    files = data.get("files", data)  # the first files of checksums held nothing else
    if files is not data and data != {"checksum": _own_checksum(files), "files": files}:
        return None
    if not isinstance(files, dict) or not all(isinstance(crc, int) for crc in files.values()):
        return None
    names = [PurePosixPath(name) for name in files]
    return None if any(n.is_absolute() or ".." in n.parts for n in names) else files


def _write(path: Path, entries: Mapping[str, int]) -> None:
    ordered = dict(sorted(entries.items()))
    write_json(path, {"checksum": _own_checksum(ordered), "files": ordered})


def _own_checksum(entries: object) -> int:
    return zlib.crc32(json.dumps(entries, sort_keys=True).encode())


def _checksum(path: Path) -> int:
    """Return the CRC-32 of a file.

    Raises:
        OSError: It cannot be read, or is no plain file (a device may never end).
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{str(path)!r} is no file")
    checksum = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum
