"""How text files are read, and what the name of a file says about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

from ctrkit.errors import DataError

COMPRESSED = (".gz", ".zst")


@dataclass(frozen=True)
class ReadOptions:
    """How text files are read.

    Attributes:
        text_encoding: Character encoding.
        separator: One character; None: by the file's name (.tsv, .txt: tab) or its first line.
        header: Whether the first line is a header row with the names of the columns.
        columns: Names of the columns of files without a header row.
    """

    text_encoding: str = "utf-8"
    separator: str | None = None
    header: bool = True
    columns: tuple[str, ...] | None = None


def is_remote(path: str) -> bool:
    """Return whether a path is an address such as ``s3://`` or ``https://``."""
    return re.match(r"[a-z][a-z0-9+.-]+://", path) is not None


def plain_suffix(path: str) -> str:
    """Return the lower-case suffix of a file, without that of its compression.

    Example:
        >>> plain_suffix("data/a.csv.gz")
        '.csv'
    """
    path = path.split("?")[0] if is_remote(path) else path
    pure = PurePath(path.lower())
    return PurePath(pure.stem).suffix if pure.suffix in COMPRESSED else pure.suffix


def check_options(options: ReadOptions) -> None:
    """Refuse options by which no text can be read.

    Raises:
        DataError: The encoding is unknown, the separator is not one character, or neither a
            header row nor names are given.
    """
    try:
        "".encode(options.text_encoding)
    except LookupError as error:
        raise DataError(
            "data.text_encoding must be an encoding that Python knows, such as utf-8 or latin-1; "
            f"got {options.text_encoding!r}"
        ) from error
    if options.separator is not None and len(options.separator) != 1:
        raise DataError(f"data.separator must be one character; got {options.separator!r}")
    if not options.header and options.columns is None:
        raise DataError(
            "text without a header row needs names: give --columns a,b,c, or `columns` in "
            "schema.toml"
        )
