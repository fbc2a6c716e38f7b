"""Errors of the reading libraries as one line that names the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import polars as pl

from ctrkit.errors import DataError
from ctrkit.secrets import redact

_SEPARATOR = (
    "the first line has none of the separators , ; | and tab: if it has another, name it: --set "
    "data.separator=':'"
)
_LONGEST = 200  # characters of a library's message


def check_unique(path: str, names: Sequence[str]) -> None:
    """Refuse a file in which two columns have the same name; some may have none.

    Raises:
        DataError: A name occurs twice.
    """
    repeated = sorted({n for n in names if n and list(names).count(n) > 1})
    if repeated:
        raise DataError(f"{path}: the column name {repeated[0]!r} occurs twice; rename one")


@contextmanager
def reading_errors(path: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn a library's error into one line that names the file.

    Args:
        path: The file that is read.
        kinds: Types of errors, in addition to those of the system and of polars.

    Raises:
        DataError: The file cannot be read.
    """
    foreign: tuple[type[BaseException], ...] = (OSError, pl.exceptions.PolarsError, UnicodeError)
    foreign = (*foreign, pl.exceptions.PanicException)  # which is no Exception
    try:
        yield
    except DataError:
        raise
    except (*foreign, *kinds) as error:
        raise DataError(f"{path}: {redact(_explain(error), path)}") from error


def _explain(error: BaseException) -> str:
    text = " ".join(str(error).split())
    ragged = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", text)
    if ragged:
        row, expected, got = ragged.groups()
        hint = f"; {_SEPARATOR}" if expected == "1" else ""
        return f"expected {expected} columns in line {row}, got {got}{hint}"
    if "UTF8" in text or isinstance(error, UnicodeError):
        return (
            "the text is not in the declared encoding (utf-8 by default); "
            "try --set data.text_encoding=latin-1"
        )
    if "Empty CSV" in text:
        return "the file is empty"
    return f"cannot be read: {text[:_LONGEST]}"
