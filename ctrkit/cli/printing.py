"""What verbs print: lines and tables for people, or the same result as JSON.

Results go to stdout; warnings, errors and progress go to stderr. rich is imported when something
is first printed, so that ``ctrkit --help`` starts without it.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctrkit.printable import one_line, printable, printable_json
from ctrkit.secrets import redact

if TYPE_CHECKING:
    from rich.console import Console

LONGEST = 2_000
"""Characters of a log line; longer ones, such as of a value of a megabyte, are cut."""


@dataclass(frozen=True)
class Table:
    """A table to print.

    Attributes:
        columns: Title -> format specification of its cells, such as ``.5f``; "" is ``str``.
        rows: The cells; None is printed as a dash, a list as its items.
    """

    columns: Mapping[str, str]
    rows: Iterable[Sequence[object]]


@cache
def stdout() -> Console:
    """Return the console of results; where stdout is no terminal, tables are 120 wide."""
    from rich.console import Console

    return Console(soft_wrap=True, width=None if sys.stdout.isatty() else 120)


@cache
def stderr() -> Console:
    """Return the console of warnings, errors and progress."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True)


def show(result: object, text: Iterable[Table | str], *, as_json: bool) -> None:
    """Print a result: as JSON, or as the lines and tables that present it.

    Args:
        result: The result as data: what ``--json`` prints.
        text: The same for people.
        as_json: Whether ``--json`` was given.
    """
    if as_json:
        text = json.dumps(_plain(result), indent=1, ensure_ascii=False, allow_nan=False)
        sys.stdout.write(printable_json(text) + "\n")
        return
    for item in text:
        if isinstance(item, Table):
            stdout().print(_rich_table(item))
        else:
            print_line(item)


def print_line(line: str) -> None:
    """Print a line on stdout."""
    stdout().print(printable(line), markup=False, emoji=False)


def warn(message: str) -> None:
    """Print a warning as one line on stderr."""
    log_line(f"warning: {message}")


def fail(message: str) -> None:
    """Print an error as one line on stderr."""
    log_line(f"error: {message}")


def log_line(line: str) -> None:
    """Print a line on stderr, without the passwords of addresses in it."""
    line = one_line(redact(line))
    if len(line) > LONGEST:
        line = f"{line[:LONGEST]}…"
    stderr().print(line, markup=False, emoji=False, highlight=False)


class LogLines(logging.Handler):
    """Writes log records as lines on stderr, above the progress bar where there is one.

    A warning is printed once, however many trials of a search repeat it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        message = record.getMessage()
        if record.levelno < logging.WARNING:
            log_line(message)
        elif message not in self.printed:
            self.printed.add(message)
            warn(message)


def _rich_table(table: Table) -> Any:
    from rich.table import Column
    from rich.table import Table as RichTable
    from rich.text import Text

    columns = (Column(Text(one_line(title))) for title in table.columns)
    drawn = RichTable(*columns, box=None, pad_edge=False)
    formats = list(table.columns.values())
    for row in table.rows:
        cells = (_cell(v, f) for v, f in zip(row, formats, strict=True))
        drawn.add_row(*(Text(one_line(cell)) for cell in cells))
    return drawn


def _cell(value: object, specification: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return format(value, specification)


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it: paths as text, numbers that are not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
