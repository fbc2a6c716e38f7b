"""The command line: arguments in, exit code out; a file per verb of :mod:`ctrkit.jobs`."""

from ctrkit.cli.app import main

__all__ = ["main"]
