"""The application: all verbs, and what its exit codes are.

Exit codes: 0 done; 1 a check failed (``ctrkit check``); 2 a user error, one line on stderr;
130 interrupted.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from typing import Any

import typer

from ctrkit.cli.check import check
from ctrkit.cli.command import Verb, add_verb
from ctrkit.cli.demo import demo
from ctrkit.cli.encode import encode
from ctrkit.cli.evaluate import evaluate
from ctrkit.cli.explain import explain
from ctrkit.cli.list import list_
from ctrkit.cli.predict import predict
from ctrkit.cli.printing import LogLines, fail, log_line
from ctrkit.cli.rank import rank
from ctrkit.cli.report import report
from ctrkit.cli.schema import schema
from ctrkit.cli.search.features import features
from ctrkit.cli.search.interactions import interactions
from ctrkit.cli.search.params import params
from ctrkit.cli.search.pipeline import pipeline
from ctrkit.cli.serve import register, serve, ui
from ctrkit.cli.sync import sync
from ctrkit.cli.train import train
from ctrkit.cli.version import version
from ctrkit.errors import CtrkitError

MALLOC = "_RJEM_MALLOC_CONF", "dirty_decay_ms:50,muzzy_decay_ms:0"
"""Variable and value for polars' allocator (jemalloc), read when polars is imported: freed memory
goes back to the system soon. A ranking of a million rows and 39 columns then peaks at 280 MB, not
at 360 to 420."""
VERBS: tuple[Verb, ...] = (
    schema,
    rank,
    encode,
    train,
    evaluate,
    explain,
    predict,
    report,
    serve,
    register,
    ui,
    sync,
    list_,
    check,
    demo,
    version,
)
"""In the order of the help."""
SEARCHES: tuple[Verb, ...] = (features, interactions, params, pipeline)
"""The verbs of ``ctrkit search``."""
UsageError: Any = typer.BadParameter.__mro__[1]
"""Base class of typer's errors about options and arguments: typer exports this subclass alone."""


def help_without_verb(context: typer.Context) -> None:
    """Print the help, and exit with code 2, where no verb is given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def make_app() -> typer.Typer:
    """Return the application with all verbs."""
    app = typer.Typer(
        name="ctrkit",
        help="Train, search and explain feature-interaction models of click-through rates.",
        callback=help_without_verb,
        invoke_without_command=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for verb in VERBS:
        add_verb(app, verb)
    search = typer.Typer(callback=help_without_verb, invoke_without_command=True)
    for verb in SEARCHES:
        add_verb(search, verb)
    app.add_typer(search, name="search", help="Search for a better or smaller model.")
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
        code: int = make_app()(standalone_mode=False) or 0
    except UsageError as error:
        fail(_usage(error))
        return 2
    except (CtrkitError, OSError) as error:  # OSError: a full disk, a read-only folder
        fail(str(error))
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
