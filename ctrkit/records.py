"""What a job says when it is done, as plain data, and who may listen while it runs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ctrkit.errors import RunFolderError
from ctrkit.files import write_json

FORMAT = 1


@dataclass(frozen=True)
class RunRecord:
    """``record.json``: the outcome of one training run.

    Attributes:
        metrics: ``{split: {auc, logloss, ne, calibration, ece, ...}}`` for validation and test.
        seed: Of weights, batches and hashing.
        data: Fingerprint, rows per split, positives, fields, notices.
        config_sha256: Identity of the job's configuration.
        versions: Of ctrkit and the libraries that shape the numbers.
        timings: ``encode_rows_s`` and ``train_examples_s`` (rates), ``total_s``.
        parameters: ``allocated`` and ``active`` counts, ``table_rows``.
        memory: ``peak_bytes`` of the process.
        training: Steps, epochs, best step, why it stopped, device, precision.
        warnings: Notices that the run printed.
    """

    metrics: dict[str, dict[str, Any]]
    seed: int
    data: dict[str, Any]
    config_sha256: str
    versions: dict[str, str]
    timings: dict[str, float]
    parameters: dict[str, int]
    memory: dict[str, int]
    training: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    format: int = FORMAT

    def save(self, path: Path) -> None:
        """Write ``record.json``."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> RunRecord:
        """Read ``record.json``."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def run_of(path: str | Path) -> Path:
    """Return a run folder: the one named, or the winner's where a search folder is named.

    Raises:
        RunFolderError: The search has not ended.
    """
    folder = Path(path)
    if not (folder / "search.json").is_file():
        return folder
    if not (folder / "record.json").is_file():
        raise RunFolderError(
            f"the search in {str(folder)!r} has not ended: its command, given again, goes on"
        )
    return folder / "run"


class Progress(Protocol):
    """Shows how far a job is."""

    def update(self, stage: str, done: int, total: int | None, text: str = "") -> None:
        """Show the state of a stage.

        Args:
            stage: What is being done, in one or two words.
            done: How much of it is done.
            total: How much there is; None: unknown.
            text: What else to show.
        """


class Tracker(Protocol):
    """Mirrors a run to some store. No method raises: a dead store costs a warning, not the run."""

    def start(self, folder: Path, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Begin, or go on with, the run that lives in ``folder``."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Mirror one line of ``metrics.jsonl``."""

    def finish(self, status: str, record: RunRecord | None = None) -> None:
        """End the run: ``FINISHED``, ``KILLED`` (interrupted) or ``FAILED``."""


class NullTracker:
    """Tracks nothing."""

    def start(self, folder: Path, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Do nothing."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Do nothing."""

    def finish(self, status: str, record: RunRecord | None = None) -> None:
        """Do nothing."""


def split_line(line: Mapping[str, Any]) -> tuple[int, dict[str, float]]:
    """Part a line of ``metrics.jsonl`` into its step and its finite numbers."""
    numbers = {k: float(v) for k, v in line.items() if isinstance(v, int | float) and k != "step"}
    return int(line["step"]), {k: v for k, v in numbers.items() if math.isfinite(v)}
