"""How text files are read, and what a path's name tells."""

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
        separator: One character; None: told from the name (.tsv, .txt: tab) or the first line.
        header: Whether the first line names the columns.
        columns: Names of the columns of files without a header line.
    """

    text_encoding: str = "utf-8"
    separator: str | None = None
    header: bool = True
    columns: tuple[str, ...] | None = None


def is_remote(path: str) -> bool:
    """Whether a path is an address such as ``s3://`` or ``https://``."""
    return re.match(r"[a-z][a-z0-9+.-]+://", path) is not None


def plain_suffix(path: str) -> str:
    """Return the lower-case suffix, ``.csv`` of ``a.csv.gz`` too."""
    pure = PurePath(path.split("?")[0].lower())
    return PurePath(pure.stem).suffix if pure.suffix in COMPRESSED else pure.suffix


def check_options(options: ReadOptions) -> None:
    """Refuse options that no text can be read by."""
    try:
        "".encode(options.text_encoding)
    except LookupError as error:
        raise DataError(f"unknown data.text_encoding {options.text_encoding!r}") from error
    if options.separator is not None and len(options.separator) != 1:
        raise DataError(f"a separator is one character; got {options.separator!r}")
    if not options.header and options.columns is None:
        raise DataError("text without a header line needs names: give `columns` in schema.toml")
