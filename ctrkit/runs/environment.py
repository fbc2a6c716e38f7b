"""What a record states about the process that made it: versions and memory."""

from __future__ import annotations

import contextlib
import platform
import resource
import sys
from importlib import metadata

from ctrkit.version import __version__

LIBRARIES = ("torch", "polars", "polars-hash", "pyarrow", "numpy", "mlflow", "optuna")


def versions() -> dict[str, str]:
    """Return the versions of ctrkit, Python and the libraries that affect its numbers."""
    installed = {"ctrkit": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    return installed


def peak_memory() -> int:
    """Return the peak resident memory of this process, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
