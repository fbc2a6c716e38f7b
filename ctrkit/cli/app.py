"""The application: all verbs, and the exit codes.

Exit codes: 0 done; 1 a check failed (``ctrkit check``); 2 a user error, one line on stderr;
130 interrupted.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from ctrkit.cli.command import Verb, add_verb
from ctrkit.cli.printing import LogLines, fail, log_line
from ctrkit.errors import CtrkitError
from ctrkit.search.kinds import KINDS

MALLOC = "_RJEM_MALLOC_CONF", "dirty_decay_ms:50,muzzy_decay_ms:0"
"""Variable and value for polars' allocator (jemalloc), read when polars is imported: freed memory
goes back to the system soon. A ranking of a million rows and 39 columns then peaks at 280 MB, not
at 360 to 420."""


def verbs_in(jobs: Path, cli: Path) -> dict[str, str]:
    """Return verb -> file and function, for each file that two folders have in common.

    Args:
        jobs: Folder of the verbs' functions, of files named after them.
        cli: Folder of the verbs' arguments, likewise.
    """
    names = sorted(path.stem for path in jobs.glob("[a-z]*.py"))
    return {n: f"ctrkit.cli.{n}:{n}" for n in names if (cli / f"{n}.py").is_file()}


_FOUND = verbs_in(Path(__file__).parents[1] / "jobs", Path(__file__).parent)
_FIRST = ("schema", "rank", "encode", "train")
VERBS = {
    **{name: _FOUND.pop(name) for name in _FIRST},
    **{f"search {kind}": f"ctrkit.cli.search.{kind}:{kind}" for kind in KINDS},
    **_FOUND,
    "register": "ctrkit.cli.serve:register",
    "ui": "ctrkit.cli.serve:ui",
    "list": "ctrkit.cli.list:list_",
    "version": "ctrkit.cli.version:version",
}
"""Verb -> its file and function, in the order of the help."""
UsageError: Any = typer.BadParameter.__mro__[1]
"""Base class of typer's errors about options and arguments: typer exports this subclass alone."""


def help_without_verb(context: typer.Context) -> None:
    """Print the help, and exit with code 2, where no verb is given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def load_verb(name: str) -> Verb:
    """Import a verb's file and return its function."""
    module, function = VERBS[name].split(":")
    verb: Verb = getattr(import_module(module), function)
    return verb


def make_app(first: str = "") -> typer.Typer:
    """Return the application.

    Args:
        first: First word of the command line. The files of other verbs are then not imported,
            which would take a third of the start-up time; if no verb starts with it, all are.
    """
    app = typer.Typer(
        name="ctrkit",
        help="Train, search and explain feature-interaction models of click-through rates.",
        callback=help_without_verb,
        invoke_without_command=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    search = typer.Typer(callback=help_without_verb, invoke_without_command=True)
    app.add_typer(search, name="search", help="Search for a better or smaller model.")
    for name in [n for n in VERBS if n.split()[0] == first] or VERBS:
        add_verb(search if " " in name else app, name.split()[-1], load_verb(name))
    return app


def main() -> None:
    """Run the command line and exit."""
    logger = logging.getLogger("ctrkit")
    logger.handlers[:] = [LogLines()]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    os.environ.setdefault(*MALLOC)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # schedulers stop jobs with it
    try:
        sys.exit(run())
    finally:
        gc.freeze()  # at exit the interpreter would spend 0.1 s on a last garbage collection


def run() -> int:
    """Run the verb that the command line names; return the exit code."""
    try:
        code: int = make_app(*sys.argv[1:2])(standalone_mode=False) or 0
    except UsageError as error:
        fail(_usage(error))
        return 2
    except (CtrkitError, OSError) as error:  # OSError: a full disk, a read-only folder
        fail(str(error))
        return 2
    except RecursionError:
        fail("a file or an option is nested too deeply to be read")
        return 2
    except KeyboardInterrupt:
        code = 130
    if code == 130:  # typer's code for an interrupt
        log_line("interrupted; re-run the same command to resume")
    return code


def _usage(error: Any) -> str:
    """Return a usage error as one line that names the verb's help."""
    message = " ".join(error.format_message().split()).rstrip(".")
    command = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
    return f"{message[:1].lower()}{message[1:]}{command}"
