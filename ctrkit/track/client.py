"""Connections to MLflow: quiet, with short timeouts, one process at a time on a new store."""

from __future__ import annotations

import logging
import os
import socket
import warnings
from typing import TYPE_CHECKING

from filelock import FileLock

from ctrkit.data.store.cache import home
from ctrkit.errors import TrackingError
from ctrkit.track.database import SQLITE, check_database, database_file, make_database

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}  # of database servers
_TIMEOUT_S = 10.0


def quiet_mlflow() -> None:
    """Import MLflow without telemetry and without its log, and with short timeouts."""
    for name, value in (
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "10"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"),
        ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false"),
    ):
        os.environ.setdefault(name, value)
    import mlflow.tracking  # noqa: F401

    for name in ("alembic", "mlflow"):  # after the import, which sets its own level
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it logs each retry


def connect(uri: str) -> MlflowClient:
    """Return a client of a store."""
    quiet_mlflow()
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri)


def open_store(uri: str, experiment: str) -> tuple[MlflowClient, str]:
    """Return a client of a store and the identifier of an experiment, which is made if needed.

    One process at a time: the constructor of the client migrates a database of an earlier MLflow.

    Raises:
        TrackingError: The store is an SQLite file that is broken, or a database server that does
            not answer.
    """
    check_server(uri)
    home().mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(home() / "tracking.lock"), timeout=120)
    with lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of MLflow's own dependencies
        try:
            return _open(uri, experiment)
        except Exception:
            check_database(uri)
            raise


def check_server(uri: str) -> None:
    """Connect to the database server of a store: MLflow alone would try for two minutes.

    Raises:
        TrackingError: It does not answer.
    """
    if "://" not in uri or uri.partition("://")[0].partition("+")[0] not in _PORTS:
        return
    from sqlalchemy.engine import make_url

    url = make_url(uri)
    if not url.host:
        return
    address = (url.host, url.port or _PORTS[url.get_backend_name()])
    try:
        socket.create_connection(address, timeout=_TIMEOUT_S).close()
    except OSError as error:
        where = f"{address[0]}:{address[1]}"
        raise TrackingError(f"the database server at {where} does not answer: {error}") from error


def _open(uri: str, experiment: str) -> tuple[MlflowClient, str]:
    path = database_file(uri)
    if path is not None:
        make_database(path, uri, connect)
    client = connect(uri)
    existing = client.get_experiment_by_name(experiment)
    if existing is not None:
        return client, str(existing.experiment_id)
    local = uri.startswith(SQLITE)
    artifacts = (home().absolute() / "artifacts").as_uri() if local else None
    return client, str(client.create_experiment(experiment, artifact_location=artifacts))
