"""Mistakes a user can make, each told in one line: the rule, the offending value, the way out.

The command line prints the message without a traceback and leaves with exit code 2. A broken
invariant of our own is an ``assert``, never one of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CtrkitError(ValueError):
    """Base of every mistake that the user can mend."""


class SchemaError(CtrkitError):
    """The schema contradicts itself or the data."""


class DataError(CtrkitError):
    """The data cannot be read, or cannot be learned from."""


class ConfigError(CtrkitError):
    """A configuration has an unknown key or a value out of bounds."""


class UnknownNameError(CtrkitError):
    """A name that no registry or folder holds."""


class RunFolderError(CtrkitError):
    """A run folder is missing, incomplete, or taken by another run."""


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
