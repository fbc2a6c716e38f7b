"""User errors, each reported in one line: the rule, the offending value, the way out.

The command line prints the message without a traceback and exits with code 2. A broken invariant
of ctrkit itself is an ``assert``, never one of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CtrkitError(ValueError):
    """Base of every error that the user can fix."""


class SchemaError(CtrkitError):
    """The schema contradicts itself or the data."""


class DataError(CtrkitError):
    """The data cannot be read, or a model cannot be trained on them."""


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
