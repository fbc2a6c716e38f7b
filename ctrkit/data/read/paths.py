"""From a path to its files, and the partition values in the names of their folders."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from urllib.parse import unquote

from ctrkit.data.read.formats import SUFFIXES
from ctrkit.data.read.options import is_remote, plain_suffix
from ctrkit.errors import DataError

_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


def find_files(text: str) -> tuple[list[str], Path | None]:
    """Return the files of a path, and the folder below which partitions are read.

    Args:
        text: A file, a folder, a glob or an address. In folders, hidden files and those that
            start with ``_`` are left out.

    Raises:
        DataError: There is no such file or folder, or the folder has no data files.
    """
    if is_remote(text):
        return [text], None
    path = Path(text).expanduser()
    if path.is_file():
        return [str(path)], None
    if path.is_dir():
        files = _data_set_files(path) or _data_files(path)
        if not files:
            raise DataError(f"folder {text!r} has no data file ({', '.join(SUFFIXES)})")
        return files, path
    root = _existing(path)  # what exists as it is written is no pattern
    rest = path.relative_to(root)
    if glob.has_magic(str(rest)):
        pattern = os.path.join(glob.escape(str(root)), rest)
        files = sorted(f for f in glob.glob(pattern, recursive=True) if os.path.isfile(f))
        first_magic = next(i for i, name in enumerate(rest.parts) if glob.has_magic(name))
        if files:
            return [str(Path(f)) for f in files], Path(root, *rest.parts[:first_magic])
    raise DataError(f"no such file or folder: {text!r}")


def _existing(path: Path) -> Path:
    """Return the longest leading part of a path that is a folder."""
    return next((folder for folder in path.parents if folder.is_dir()), Path(path.anchor))


def _data_set_files(folder: Path) -> list[str]:
    """Return the data files of a folder that contains a schema."""
    if not (folder / "schema.toml").is_file():
        return []
    single = folder / "data.parquet"
    files = [single] if single.is_file() else sorted(folder.glob("data-*.parquet"))
    return [str(file) for file in files]


def _data_files(folder: Path) -> list[str]:
    return sorted(
        str(file)
        for file in folder.rglob("*")
        if _is_visible(file, folder) and plain_suffix(file.name) in SUFFIXES
    )


def _is_visible(file: Path, root: Path) -> bool:
    names = file.relative_to(root).parts
    return file.is_file() and not any(name.startswith((".", "_")) for name in names)


def partition_values(file: str, root: Path | None) -> dict[str, str | None]:
    """Return the values that a file's folders declare as ``key=value``, as hive writes them.

    Args:
        file: The file.
        root: Folder below which partitions are read; None: nowhere.
    """
    if root is None:
        return {}
    names = Path(file).relative_to(root).parts[:-1]
    pairs = [name.split("=", 1) for name in names if "=" in name]
    return {unquote(k): None if v == _HIVE_NULL else unquote(v) for k, v in pairs}
