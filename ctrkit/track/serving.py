"""Runs as MLflow models, and MLflow's own servers for models and stores."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctrkit.bundle.load import check_parts, read_config
from ctrkit.errors import CtrkitError, RunFolderError, TrackingError
from ctrkit.files import copy
from ctrkit.secrets import redact, redact_address
from ctrkit.track.client import open_store, quiet_mlflow
from ctrkit.track.server import MAX_BODY, MODEL_PATH
from ctrkit.track.state import read_state
from ctrkit.track.store import make_tracker, store_of
from ctrkit.version import __version__

SERVED = Path(__file__).with_name("served_model.py")
BUNDLE = (
    "config.json",
    "schema.toml",
    "layout.json",
    "encoder",
    "model.safetensors",
    "dataset.json",
    "checksums.json",
    "plugins",
    "record.json",
)
"""The parts of a run folder that a model needs."""


def save_model(run: Path, target: Path, *, trust_plugins: bool = False) -> None:
    """Write a run as an MLflow model folder.

    Args:
        run: A finished run folder.
        target: The folder to make.
        trust_plugins: Let the loaded model run the plug-in code in the run folder.

    Raises:
        RunFolderError: The run folder is incomplete, or holds plug-ins that are not trusted.
    """
    _check(run, trust_plugins)
    quiet_mlflow()
    import mlflow

    with _quiet(), _bundle(run) as bundle:
        mlflow.pyfunc.save_model(path=str(target), **_model(bundle, trust_plugins))


def register_model(
    run: Path, name: str, *, uri: str | None = None, trust_plugins: bool = False
) -> tuple[str, str]:
    """Add a run to MLflow's model registry.

    Args:
        run: A finished run folder.
        name: Name of the registered model.
        uri: The store; None: see :func:`ctrkit.track.store.store_of`.
        trust_plugins: Let the loaded model run the plug-in code in the run folder.

    Returns:
        The store, without its password, and the version of the model.

    Raises:
        RunFolderError: See :func:`save_model`; tracking is off; or the folder states another
            store than the user's.
    """
    _check(run, trust_plugins)
    config = read_config(run)
    uri = store_of(run, config.track, uri)
    # The registry of the store refers to its run.
    track = config.track.model_copy(update={"uri": uri})
    tracker = make_tracker(track, name=f"{config.model.name}-{config.train.seed}")
    tracker.start(run, config.model_dump(mode="json"), {})
    tracker.finish("FINISHED")
    state = read_state(run)
    if state is None or not state.is_in(uri):
        store = redact_address(uri)
        raise RunFolderError(f"the store {store} does not answer; try again when it does")
    open_store(uri, config.track.experiment)
    import mlflow

    with _quiet(), _bundle(run) as bundle:
        mlflow.set_tracking_uri(uri)
        with mlflow.start_run(run_id=state.run_id):
            info = mlflow.pyfunc.log_model(
                name="model", registered_model_name=name, **_model(bundle, trust_plugins)
            )
    return redact_address(uri), str(info.registered_model_version)


def serve_command(host: str, port: int) -> list[str]:
    """Return the command that serves a model; see :func:`server_environment`."""
    return [
        sys.executable,
        "-m",
        "uvicorn",
        "ctrkit.track.server:make_app",
        "--factory",
        "--host",
        host,
        "--port",
        str(port),
        "--timeout-graceful-shutdown",
        "2",
        "--log-level",
        "warning",
    ]


def ui_command(uri: str, host: str, port: int) -> list[str]:
    """Return the command that shows a store; a store that does not exist is made first.

    Its address is in :func:`ui_environment`: everyone sees the arguments of a process.

    Raises:
        TrackingError: The store cannot be opened.
    """
    try:
        open_store(uri, "ctrkit")
    except CtrkitError:
        raise
    except Exception as error:
        reason = redact(str(error).strip().split("\n")[0], uri)
        raise TrackingError(f"the store {redact_address(uri)} does not open: {reason}") from error
    return [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
    ]


def ui_environment(uri: str) -> dict[str, str]:
    """Return the environment of the server that shows a store."""
    return {**server_environment(), "MLFLOW_BACKEND_STORE_URI": uri}


def server_environment(model: Path | None = None, max_body: int = 0) -> dict[str, str]:
    """Return the environment of a server; MLflow's look for uvicorn on the path.

    Args:
        model: The model folder to serve, if any.
        max_body: Largest body of a request, in bytes.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    served = {} if model is None else {MODEL_PATH: str(model), MAX_BODY: str(max_body)}
    return {**os.environ, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true", **served}


def check_address(host: str, port: int) -> None:
    """Check that a server can listen on an address.

    Raises:
        CtrkitError: The port is taken, or the address is not one of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CtrkitError(
                f"port {port} of {host} is taken; name another one with --port"
            ) from None
        raise CtrkitError(f"cannot listen on port {port} of {host!r}: {error.strerror}") from None


def _check(run: Path, trust_plugins: bool) -> None:
    check_parts(run)
    if (run / "plugins" / "index.json").is_file() and not trust_plugins:
        raise RunFolderError(
            f"the run folder {str(run)!r} holds plug-in code; read it, then allow it with "
            "--trust-plugins (trust_plugins=True)"
        )


def _model(bundle: Path, trust_plugins: bool) -> dict[str, Any]:
    return {
        "python_model": str(SERVED),
        "artifacts": {"run": str(bundle)},
        "model_config": {"trust_plugins": trust_plugins},
        "pip_requirements": [f"ctrkit=={__version__}"],
    }


@contextmanager
def _bundle(run: Path) -> Iterator[Path]:
    """Give a copy of the run without what a model does not need (predictions, reports)."""
    with tempfile.TemporaryDirectory(prefix="ctrkit-") as scratch:
        bundle = Path(scratch) / "run"
        bundle.mkdir()
        for name in BUNDLE:
            if (run / name).exists():
                copy(run / name, bundle / name)
        yield bundle


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress warnings and log messages of MLflow."""
    loggers = [logging.getLogger(n) for n in ("mlflow", "mlflow.pyfunc", "mlflow.models.model")]
    levels = [log.level for log in loggers]
    for log in loggers:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(loggers, levels, strict=True):
            log.setLevel(level)
