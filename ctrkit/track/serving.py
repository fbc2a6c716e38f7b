"""MLflow's own servers, started on our stores and runs, and runs as MLflow models."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctrkit.bundle.load import check_parts, read_config
from ctrkit.errors import RunFolderError
from ctrkit.files import copy
from ctrkit.track.store import make_tracker, tracking_uri
from ctrkit.track.tracker import open_store, quiet_mlflow, read_state
from ctrkit.version import __version__

SERVED = Path(__file__).with_name("served_model.py")
BUNDLE = (
    "config.json",
    "schema.toml",
    "layout.json",
    "encoder",
    "model.safetensors",
    "plugins",
    "record.json",
)
"""Of a run folder: what a model needs."""


def save_model(run: Path, target: Path, *, trust_plugins: bool = False) -> None:
    """Write a run as an MLflow model folder.

    Args:
        run: A finished run folder.
        target: The folder to make.
        trust_plugins: Let the loaded model run the plug-in code that the run holds.

    Raises:
        RunFolderError: It is no complete run folder, or holds plug-ins that are not trusted.
    """
    _checked(run, trust_plugins)
    quiet_mlflow()
    import mlflow

    with _quiet(), _bundle(run) as bundle:
        mlflow.pyfunc.save_model(path=str(target), **_model(bundle, trust_plugins))


def register_model(run: Path, name: str, *, trust_plugins: bool = False) -> tuple[str, str]:
    """Add a run to MLflow's registry of models; return the store and the version.

    Raises:
        RunFolderError: See :func:`save_model`; or tracking is off.
    """
    config = read_config(_checked(run, trust_plugins))
    uri = tracking_uri(config.track)
    if uri is None:
        raise RunFolderError("tracking is off: name a store with CTRKIT_TRACKING_URI")
    state = read_state(run)
    if state is None or state["uri"] != uri:  # never mirrored there: the store needs its run
        tracker = make_tracker(config.track, name=f"{config.model.name}-{config.train.seed}")
        tracker.start(run, config.model_dump(mode="json"), {})
        tracker.finish("FINISHED")
        state = read_state(run)
    if state is None or state["uri"] != uri:
        raise RunFolderError(f"the store {uri} does not answer; try again when it does")
    open_store(uri, config.track.experiment)
    import mlflow

    with _quiet(), _bundle(run) as bundle:
        mlflow.set_tracking_uri(uri)
        with mlflow.start_run(run_id=state["run_id"]):
            info = mlflow.pyfunc.log_model(
                name="model", registered_model_name=name, **_model(bundle, trust_plugins)
            )
    return uri, str(info.registered_model_version)


def serve_command(model: Path, host: str, port: int) -> list[str]:
    """Return the command that serves a model folder from this very environment."""
    return [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        str(model),
        "--env-manager",
        "local",
        "--host",
        host,
        "--port",
        str(port),
    ]


def ui_command(uri: str, host: str, port: int) -> list[str]:
    """Return the command that shows a store; a fresh one is made first."""
    open_store(uri, "ctrkit")
    return [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        uri,
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
    ]


def server_environment() -> dict[str, str]:
    """Return the environment of MLflow's servers: they look for uvicorn on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}


def _checked(run: Path, trust_plugins: bool) -> Path:
    check_parts(run)
    if (run / "plugins" / "index.json").is_file() and not trust_plugins:
        raise RunFolderError(
            f"the run folder {str(run)!r} holds plug-in code; read it, then allow it with "
            "--trust-plugins (trust_plugins=True)"
        )
    return run


def _model(bundle: Path, trust_plugins: bool) -> dict[str, Any]:
    return {
        "python_model": str(SERVED),
        "artifacts": {"run": str(bundle)},
        "model_config": {"trust_plugins": trust_plugins},
        "pip_requirements": [f"ctrkit=={__version__}"],
    }


@contextmanager
def _bundle(run: Path) -> Iterator[Path]:
    """Give a copy of what a model needs, without predictions and reports."""
    with tempfile.TemporaryDirectory(prefix="ctrkit-") as scratch:
        place = Path(scratch) / "run"
        place.mkdir()
        for name in BUNDLE:
            if (run / name).exists():
                copy(run / name, place / name)
        yield place


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what MLflow says of itself."""
    import logging

    loggers = [logging.getLogger(n) for n in ("mlflow", "mlflow.pyfunc", "mlflow.models.model")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
