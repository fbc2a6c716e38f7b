"""``ctrkit serve``, ``ctrkit ui``, ``ctrkit register``: MLflow's servers and registry."""

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
    """Serve predictions of raw rows over HTTP with MLflow's server, until interrupted.

    Rows are posted to ``/invocations`` as ``{"inputs": [{"column": value, ...}, ...]}``.

    Args:
        run: The run folder, or a search folder (its winner).
        host: Address to listen on; the default is reachable from this machine only.
        port: Port to listen on.
        trust_plugins: Run the plug-in code in the run folder.
        started: Called with the address before the server starts.

    Raises:
        CtrkitError: The server failed.
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
        port: Port to listen on.
        uri: The store; None: the one of ``track.uri``.
        started: Called with the address. A remote store has its own server: no other is started.

    Raises:
        CtrkitError: Tracking is off, or the server failed.
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
    """Add a run to MLflow's model registry; the model takes raw rows.

    Args:
        run: The run folder, or a search folder (its winner).
        name: Name of the registered model.
        trust_plugins: Let the loaded model run the plug-in code in the run folder.

    Returns:
        The store, and the version of the model.
    """
    return register_model(run_of(run), name, trust_plugins=trust_plugins)


def _run(command: list[str]) -> None:
    process = subprocess.Popen(command, env=server_environment())
    try:
        code = process.wait()
    except KeyboardInterrupt:  # Ctrl-C in a terminal interrupts the server too
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        raise
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
    if code:
        raise CtrkitError(f"MLflow's server ended with exit code {code}; see its output above")
