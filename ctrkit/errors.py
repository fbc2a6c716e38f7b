"""User errors, each reported in one line: the rule, the offending value, the way out.

The command line prints the message without a traceback and exits with code 2. A broken invariant
of ctrkit itself is an ``assert``, never one of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from ctrkit.printable import one_line
from ctrkit.secrets import redact


class CtrkitError(ValueError):
    """Base of every error that the user can fix.

    Its message is one line of printable text, in which addresses have no passwords.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(redact(message)))


class SchemaError(CtrkitError):
    """The schema contradicts itself or the data."""


class DataError(CtrkitError):
    """The data cannot be read, or a model cannot be trained on them."""


class CellError(DataError):
    """A value cannot be read as what its column holds.

    Attributes:
        row: Row of the value, from 0: of the frame that was read; of the file after :meth:`at`.
    """

    def __init__(self, fault: str, row: int, way_out: str) -> None:
        """Make the error.

        Args:
            fault: What must hold, and the value.
            row: Row of the value.
            way_out: What the user can do.
        """
        super().__init__(f"{fault} in row {row}: {way_out}")
        self.fault, self.row, self.way_out = fault, row, way_out

    def __reduce__(self) -> Any:
        """Pickle, for processes that count files."""
        return type(self), (self.fault, self.row, self.way_out)

    def at(self, row: int) -> CellError:
        """Return the error with another row."""
        return type(self)(self.fault, row, self.way_out)


class ConfigError(CtrkitError):
    """A configuration has an unknown key, or a value that is out of bounds."""


class UnknownNameError(CtrkitError):
    """A name is unknown to the registry or the folder."""


class RunFolderError(CtrkitError):
    """A folder is missing or incomplete, or holds another job."""


class TrackingError(CtrkitError):
    """The tracking store is broken."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the most similar known name, or an empty string.

    Example:
        >>> nearest("autoin", ["autoint", "fm"])
        "; did you mean 'autoint'?"
        >>> nearest("zzz", ["autoint", "fm"])
        ''
    """
    match = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {match[0]!r}?" if match else ""
