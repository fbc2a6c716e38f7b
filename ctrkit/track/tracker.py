"""One run in MLflow, written through its client in batches; nothing here ever raises."""

from __future__ import annotations

import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from filelock import FileLock

from ctrkit.data.store.cache import home
from ctrkit.files import write_json
from ctrkit.records import RunRecord, split_line

logger = logging.getLogger(__name__)

SMALL_FILES = ("config.json", "schema.toml", "record.json", "report.html")
SEARCH_FILES = (*SMALL_FILES, "run.toml", "trials.parquet", "features.parquet", "pairs.json")
LONGEST_PARAMETER = 6000  # MLflow's limit
PARENT = "mlflow.parentRunId"
_TAGS: ContextVar[Mapping[str, str]] = ContextVar("tags")


@contextmanager
def tagged(tags: Mapping[str, str]) -> Iterator[None]:
    """Give every run that begins inside more tags: whose child it is, which trial."""
    token = _TAGS.set({**_TAGS.get({}), **tags})
    try:
        yield
    finally:
        _TAGS.reset(token)


class MlflowTracker:
    """Mirrors a run to an MLflow store; the first failure is told, then it is quiet.

    Attributes:
        step: The last step that the store holds.
        replayed: Lines of ``metrics.jsonl`` that :meth:`start` found missing and mirrored.
        dead: Whether the store failed.
    """

    def __init__(self, uri: str, experiment: str, run_name: str) -> None:
        self.uri, self.experiment, self.run_name = uri, experiment, run_name
        self.client: Any = None
        self.run_id = ""
        self.folder = Path()
        self.step = -1
        self.replayed = 0
        self.status = ""
        self.dead = False

    def start(self, folder: Path, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Begin the run, or go on with the one that ``tracking.json`` names."""
        self.folder = folder
        self._try(lambda: self._announce(parameters, tags))
        self._try(lambda: self._start(parameters, tags))

    def _announce(self, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Leave in the folder what a later replay needs, should the store not answer."""
        if _read(self.folder) is None:
            known = {"parameters": dict(parameters), "tags": {**tags, **_TAGS.get({})}}
            self._write({"run_id": "", "name": self.run_name, **known})

    def _start(self, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        state = read_state(self.folder)
        self.client, experiment = open_store(self.uri, self.experiment)
        if state and state["uri"] == self.uri:
            self.run_id, self.step, self.status = state["run_id"], state["step"], state["status"]
            if self.status != "FINISHED":
                self.client.update_run(self.run_id, status="RUNNING")
        else:
            self._create(experiment, parameters, tags)
        self._replay()

    def _create(
        self, experiment: str, parameters: Mapping[str, Any], tags: Mapping[str, str]
    ) -> None:
        tags = {**tags, **_TAGS.get({})}
        run = self.client.create_run(experiment, run_name=self.run_name, tags=tags)
        self.run_id = run.info.run_id
        from mlflow.entities import Param

        params = [Param(k, str(v)[:LONGEST_PARAMETER]) for k, v in flatten(parameters)]
        for i in range(0, len(params), 100):
            self.client.log_batch(self.run_id, params=params[i : i + 100])
        self._remember("RUNNING")

    def _replay(self) -> None:
        """Mirror the lines of ``metrics.jsonl`` that the store has not seen."""
        path = self.folder / "metrics.jsonl"
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
            step, metrics = split_line(json.loads(line))
            if step > self.step:
                self._log(step, metrics)
                self.replayed += 1

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Mirror one line of ``metrics.jsonl``."""
        self._try(lambda: self._log(step, metrics))

    def _log(self, step: int, metrics: Mapping[str, float]) -> None:
        if step <= self.step:  # a resumed run repeats what followed its checkpoint
            return
        self._batch(step, metrics)
        self.step = step
        self._remember("RUNNING")

    def _batch(self, step: int, metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(
            self.run_id, metrics=[Metric(k, float(v), now, step) for k, v in metrics.items()]
        )

    def finish(self, status: str, record: RunRecord | None = None) -> None:
        """End the run with its final metrics and small files."""
        self._try(lambda: self._finish(status, record))

    def _finish(self, status: str, record: RunRecord | None) -> None:
        if self.status == "FINISHED":
            return
        if record is not None:
            self._batch(int(record.training.get("steps", 0)), dict(final_metrics(record)))
            self._send(SMALL_FILES)
        self.client.set_terminated(self.run_id, status)
        self._remember(status)

    def _send(self, names: Sequence[str]) -> None:
        for name in names:
            if (self.folder / name).is_file():
                self.client.log_artifact(self.run_id, str(self.folder / name))

    def _remember(self, status: str) -> None:
        self.status = status
        state: dict[str, Any] = {"uri": self.uri, "experiment": self.experiment}
        state.update(run_id=self.run_id, status=status, step=self.step)
        self._write(state)

    def _write(self, state: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "tracking.json", state, default=str)

    def _try(self, act: Callable[[], None]) -> None:
        if self.dead:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of MLflow's own dependencies
                act()
        except Exception as error:
            self.dead = True
            reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
            told = logging.DEBUG if _TAGS.get({}) else logging.WARNING  # a search tells it once
            logger.log(
                told,
                "tracking stopped: the store %s failed (%s); the run goes on, and `ctrkit sync %s` "
                "replays it",
                self.uri,
                reason[0][:200],
                self.folder,
            )


class SearchTracker(MlflowTracker):
    """Mirrors a search folder: the parent run of its trials, one line per finished trial."""

    def _finish(self, status: str, record: RunRecord | None) -> None:
        if status == "FINISHED":
            self._send(SEARCH_FILES)
        self.client.set_terminated(self.run_id, status)
        self._remember(status)


def quiet_mlflow() -> None:
    """Import MLflow without telemetry, with short timeouts and without its chatter."""
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
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it tells each retry


def connect(uri: str) -> Any:
    """Return a client of a store."""
    quiet_mlflow()
    from mlflow.tracking import MlflowClient

    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=uri)


def open_store(uri: str, name: str) -> tuple[Any, str]:
    """Return a client and the experiment's id, one process at a time.

    The client's construction migrates a fresh database, so it stands under the lock too.
    """
    home().mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(home() / "tracking.lock"), timeout=120)
    with lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own dependencies
        client = connect(uri)
        found = client.get_experiment_by_name(name)
        if found is not None:
            return client, str(found.experiment_id)
        local = uri.startswith("sqlite:")
        artifacts = (home().absolute() / "artifacts").as_uri() if local else None
        return client, str(client.create_experiment(name, artifact_location=artifacts))


def read_state(folder: Path) -> dict[str, Any] | None:
    """Return ``tracking.json`` of a run that a store holds, or None."""
    state = _read(folder)
    return state if state and state["run_id"] else None


def read_pending(folder: Path) -> dict[str, Any] | None:
    """Return the name, parameters and tags of a run that no store holds yet, or None."""
    state = _read(folder)
    return None if state is None or state["run_id"] else state


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / "tracking.json"
    if not path.is_file():
        return None
    state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return state


def final_metrics(record: RunRecord) -> Iterator[tuple[str, float]]:
    """Name the final numbers ``<split>.<metric>``."""
    for split, metrics in record.metrics.items():
        for name, value in metrics.items():
            if isinstance(value, int | float) and value == value:
                yield f"{split}.{name}", float(value)


def flatten(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``section.key`` and value of a nested mapping."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
