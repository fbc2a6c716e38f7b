"""A run in MLflow, written through its client in batches; no method raises."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctrkit.errors import TrackingError
from ctrkit.files import refuse_links
from ctrkit.records import RunRecord, read_lines, split_line
from ctrkit.secrets import redact, redact_address
from ctrkit.track.client import open_store
from ctrkit.track.database import check_database
from ctrkit.track.state import Pending, Tracked, damaged, read_pending, read_state, write_state

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

logger = logging.getLogger(__name__)
RUN_FILES = ("config.json", "schema.toml", "record.json", "report.html")
"""Files of a run that the store gets."""
SEARCH_FILES = (*RUN_FILES, "run.toml", "trials.parquet", "features.parquet", "pairs.json")
"""Files of a search that the store gets."""
LONGEST_PARAMETER = 6000
"""MLflow's limit, in characters."""
PARENT = "mlflow.parentRunId"
"""Tag that makes a run the child of another."""
_TAGS: ContextVar[Mapping[str, str]] = ContextVar("tags")


@contextmanager
def tagged(tags: Mapping[str, str]) -> Iterator[None]:
    """Give every run that starts inside the block more tags, such as its parent and its trial."""
    token = _TAGS.set({**_TAGS.get({}), **tags})
    try:
        yield
    finally:
        _TAGS.reset(token)


class MlflowTracker:
    """Mirrors a run to an MLflow store; the first failure is logged and ends the mirroring.

    Attributes:
        step: The last step that the store holds.
        replayed: Lines of ``metrics.jsonl`` that the store lacked and :meth:`start` sent.
        dead: Whether the store failed.
        cause: Why it failed, if it did.
    """

    def __init__(self, uri: str, experiment: str, run_name: str) -> None:
        self.uri, self.experiment, self.run_name = uri, experiment, run_name
        self.run_id = ""
        self.folder = Path()
        self.step = -1
        self.replayed = 0
        self.status = ""
        self.dead = False
        self.cause: Exception | None = None
        self._client: MlflowClient | None = None

    @property
    def client(self) -> MlflowClient:
        """The client of the store, once :meth:`start` has opened it."""
        assert self._client is not None
        return self._client

    def start(self, folder: Path, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Start the run, or continue the one that ``tracking.json`` names."""
        self.folder = folder
        self._try(lambda: self._announce(parameters, tags))
        self._try(lambda: self._start(parameters, tags))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Mirror one line of ``metrics.jsonl``."""
        self._try(lambda: self._log(step, metrics))

    def finish(self, status: str, record: RunRecord | None = None) -> None:
        """End the run with its final metrics and files."""
        self._try(lambda: self._finish(status, record))

    def _announce(self, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Write down what a later replay needs, in case the store does not answer."""
        if damaged(self.folder):
            logger.warning(
                "%s is damaged; the run is tracked again from its start",
                self.folder / "tracking.json",
            )
        if read_state(self.folder) is None and read_pending(self.folder) is None:
            tags = {**tags, **_TAGS.get({})}
            write_state(self.folder, Pending(self.run_name, dict(parameters), tags))

    def _start(self, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        state = read_state(self.folder)
        self._client, experiment = open_store(self.uri, self.experiment)
        if state is not None and state.is_in(self.uri) and self._in_store(state.run_id):
            self.run_id, self.step, self.status = state.run_id, state.step, state.status
            if self.status != "FINISHED":
                self.client.update_run(self.run_id, status="RUNNING")
        else:
            self._create(experiment, parameters, tags)
        self._replay()

    def _in_store(self, run_id: str) -> bool:
        """Return whether the store has a run: another store may have taken its place."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
        return True

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
        """Send the lines of ``metrics.jsonl`` that the store lacks."""
        for line in read_lines(self.folder / "metrics.jsonl"):
            step, metrics = split_line(line)
            if step > self.step:
                self._log(step, metrics)
                self.replayed += 1

    def _log(self, step: int, metrics: Mapping[str, float]) -> None:
        if step <= self.step:  # a resumed run repeats what followed its checkpoint
            return
        self._send_metrics(step, metrics)
        self.step = step
        self._remember("RUNNING")

    def _finish(self, status: str, record: RunRecord | None) -> None:
        if self.status == "FINISHED":
            return
        if record is not None:
            self._send_metrics(int(record.training.get("steps", 0)), dict(final_metrics(record)))
            self._send_files(RUN_FILES)
        self.client.set_terminated(self.run_id, status)
        self._remember(status)

    def _send_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(
            self.run_id, metrics=[Metric(k, float(v), now, step) for k, v in metrics.items()]
        )

    def _send_files(self, names: Sequence[str]) -> None:
        refuse_links(self.folder)
        for name in names:
            if (self.folder / name).is_file():
                self.client.log_artifact(self.run_id, str(self.folder / name))

    def _remember(self, status: str) -> None:
        self.status = status
        uri = redact_address(self.uri)
        state = Tracked(uri, self.experiment, self.run_id, status, self.step)
        write_state(self.folder, state)

    def _try(self, action: Callable[[], None]) -> None:
        if self.dead:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # those of MLflow's own dependencies
                action()
        except Exception as error:
            self.dead, self.cause = True, _cause(self.uri, error)
            reason = (str(self.cause).strip().splitlines() or [type(error).__name__])[0]
            if not isinstance(self.cause, TrackingError):
                store = redact_address(self.uri)
                reason = f"the store {store} failed ({redact(reason, self.uri)[:200]})"
            level = logging.DEBUG if _TAGS.get({}) else logging.WARNING  # a search warns once
            logger.log(
                level,
                "tracking stopped: %s; the run continues, and `ctrkit sync %s` sends the rest "
                "later",
                reason,
                self.folder,
            )


def _cause(uri: str, error: Exception) -> Exception:
    """Return why a store failed: that it is broken, or else the error."""
    try:
        check_database(uri)
    except Exception as cause:
        return cause if isinstance(cause, TrackingError) else error
    return error


class SearchTracker(MlflowTracker):
    """Mirrors a search: the parent of its trials' runs, with one line per finished trial."""

    def _finish(self, status: str, record: RunRecord | None) -> None:
        if status == "FINISHED":
            self._send_files(SEARCH_FILES)
        self.client.set_terminated(self.run_id, status)
        self._remember(status)


def final_metrics(record: RunRecord) -> Iterator[tuple[str, float]]:
    """Yield the final metrics as ``<split>.<metric>`` and value; NaN is left out."""
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
