"""Verbs that start servers: the MLflow interface, and predictions over HTTP."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ctrkit.config.sections import TrackConfig
from ctrkit.errors import CtrkitError
from ctrkit.records import run_of
from ctrkit.runs.inputs import PathLike
from ctrkit.track import tracking_uri
from ctrkit.track.serving import (
    register_model,
    save_model,
    serve_command,
    server_environment,
    ui_command,
)

HOST = "127.0.0.1"


def serve(
    run: PathLike,
    *,
    host: str = HOST,
    port: int = 5001,
    trust_plugins: bool = False,
    started: Callable[[str], None] | None = None,
) -> None:
    """Answer raw rows with probabilities over HTTP, by MLflow's server, until interrupted.

    Rows are posted to ``/invocations`` as ``{"inputs": [{"column": value, ...}, ...]}``.

    Args:
        run: The run folder, or a search folder: its winner's.
        host: Address to listen on; other machines reach any but the default.
        port: Its port.
        trust_plugins: Run the plug-in code that the run folder holds.
        started: Told the address before the server starts.

    Raises:
        CtrkitError: The server ended with a failure.
    """
    with tempfile.TemporaryDirectory(prefix="ctrkit-serve-") as scratch:
        model = Path(scratch) / "model"
        save_model(run_of(run), model, trust_plugins=trust_plugins)
        if started is not None:
            started(f"http://{host}:{port}/invocations")
        _run(serve_command(model, host, port))


def ui(
    *,
    host: str = HOST,
    port: int = 5000,
    uri: str | None = None,
    started: Callable[[str], None] | None = None,
) -> None:
    """Open the MLflow interface on the store that runs are tracked in, until interrupted.

    Args:
        host: Address to listen on.
        port: Its port.
        uri: The store; None: as ``track.uri``.
        started: Told the address; of a remote store it is the store's own, and nothing starts.

    Raises:
        CtrkitError: Tracking is off, or the server ended with a failure.
    """
    store = uri or tracking_uri(TrackConfig())
    if store is None or store == "none":
        raise CtrkitError("tracking is off: name a store with --uri or CTRKIT_TRACKING_URI")
    remote = store.startswith(("http://", "https://"))
    command = [] if remote else ui_command(store, host, port)
    if started is not None:
        started(store if remote else f"http://{host}:{port}")
    if command:
        _run(command)


def register(run: PathLike, name: str, *, trust_plugins: bool = False) -> tuple[str, str]:
    """Add a run to MLflow's registry as a model of raw rows.

    Args:
        run: The run folder, or a search folder: its winner's.
        name: Of the registered model.
        trust_plugins: Let the loaded model run the plug-in code that the run folder holds.

    Returns:
        The store and the model's version.
    """
    return register_model(run_of(run), name, trust_plugins=trust_plugins)


def _run(command: list[str]) -> None:
    process = subprocess.Popen(command, env=server_environment())
    try:
        code = process.wait()
    except KeyboardInterrupt:  # from a terminal, the server has it too
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        raise
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
    if code:
        raise CtrkitError(f"MLflow's server ended with exit code {code}; its lines say why")
