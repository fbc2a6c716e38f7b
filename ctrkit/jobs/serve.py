"""``ctrkit serve``, ``ctrkit ui``, ``ctrkit register``: MLflow's servers and registry."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from ctrkit.config.sections import TrackConfig
from ctrkit.errors import CtrkitError
from ctrkit.records import run_of
from ctrkit.runs.inputs import PathLike
from ctrkit.secrets import redact_address
from ctrkit.track import tracking_uri
from ctrkit.track.serving import (
    check_address,
    register_model,
    save_model,
    serve_command,
    server_environment,
    ui_command,
    ui_environment,
)

HOST = "127.0.0.1"
MAX_BODY = 16_000_000
SERVE_STOP_S, UI_STOP_S = 3.0, 30.0
"""Seconds that a server has to end; that of the interface ends processes of its own."""


def serve(
    run: PathLike,
    *,
    host: str = HOST,
    port: int = 5001,
    max_body: int = MAX_BODY,
    trust_plugins: bool = False,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve predictions of raw rows over HTTP with MLflow's server, until interrupted.

    Rows are posted to ``/invocations`` as ``{"inputs": [{"column": value, ...}, ...]}``; what
    cannot be scored is answered with a status of 4xx and ``{"error": sentence}``.

    Args:
        run: The run folder, or a search folder (its winner).
        host: Address to listen on; the default is reachable from this machine only.
        port: Port to listen on.
        max_body: Largest body of a request, in bytes; a longer one is answered with 413.
        trust_plugins: Run the plug-in code in the run folder.
        started: Called with the address before the server starts.

    Raises:
        CtrkitError: The port is taken, or the server failed.
    """
    check_address(host, port)
    with tempfile.TemporaryDirectory(prefix="ctrkit-serve-") as scratch:
        model = Path(scratch) / "model"
        save_model(run_of(run), model, trust_plugins=trust_plugins)
        if started is not None:
            started(f"http://{host}:{port}/invocations")
        _run(serve_command(host, port), server_environment(model, max_body), SERVE_STOP_S)


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
        started: Called with the address, without its password. A remote store has its own
            server: no other is started.

    Raises:
        CtrkitError: Tracking is off, or the server failed.
    """
    store = uri or tracking_uri(TrackConfig())
    if store is None or store == "none":
        raise CtrkitError("tracking is off: name a store with --uri or CTRKIT_TRACKING_URI")
    remote = store.startswith(("http://", "https://"))
    if not remote:
        check_address(host, port)
    command = [] if remote else ui_command(store, host, port)
    if started is not None:
        started(redact_address(store) if remote else f"http://{host}:{port}")
    if command:
        _run(command, ui_environment(store), UI_STOP_S)


def register(
    run: PathLike, name: str, *, uri: str | None = None, trust_plugins: bool = False
) -> tuple[str, str]:
    """Add a run to MLflow's model registry; the model takes raw rows.

    Args:
        run: The run folder, or a search folder (its winner).
        name: Name of the registered model.
        uri: The store; None: the one that the user's runs are tracked in.
        trust_plugins: Let the loaded model run the plug-in code in the run folder.

    Returns:
        The store, without its password, and the version of the model.
    """
    return register_model(run_of(run), name, uri=uri, trust_plugins=trust_plugins)


def _run(command: list[str], environment: dict[str, str], stop_s: float) -> None:
    """Run a server until it ends, or this process is interrupted: it then has ``stop_s`` to end."""
    process = subprocess.Popen(command, env=environment)
    try:
        code = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(stop_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if code:
        raise CtrkitError(f"the server ended with exit code {code}; see its output above")
