"""What a job leaves behind as plain data, and the interfaces that it reports to while it runs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ctrkit.checksums import check_files
from ctrkit.errors import RunFolderError
from ctrkit.files import read_json, write_json

FORMAT = 1
RETRAIN = "train again with --force"
"""The way out of a damaged run folder."""


@dataclass(frozen=True)
class RunRecord:
    """``record.json``: the outcome of one training run.

    Attributes:
        metrics: ``{split: {auc, logloss, ne, calibration, ece, ...}}`` for validation and test.
        seed: Seed of the weights, the batches and hashed tables.
        data: Fingerprint, rows and positives per split, rate of encoding.
        config_sha256: Hash that identifies the configuration.
        versions: Versions of ctrkit and of the libraries that affect its numbers.
        timings: ``encode_rows_s`` and ``train_examples_s`` (rates), ``total_s``.
        parameters: ``allocated`` and ``active`` counts, ``table_rows``.
        memory: ``peak_bytes`` of the process.
        training: Steps, epochs, best step, reason of the stop, device, precision.
        warnings: Warnings that the run logged.
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
        """Read ``record.json``.

        Raises:
            RunFolderError: The file is damaged, or is not the record of a run.
        """
        check_files(path.parent, [path.name], RETRAIN)
        data = read_json(path)
        try:
            record = cls(**data)
            tables = (record.metrics, record.training, record.timings, record.parameters)
            if all(isinstance(t, dict) for t in (*tables, *record.metrics.values())):
                return record
        except (TypeError, AttributeError):
            pass
        raise RunFolderError(
            f"{str(path)!r} is not the record of a run; restore it, or train again with --force"
        )


def run_of(path: str | Path) -> Path:
    """Return a run folder: the path itself, or the winner's run if it is a search folder.

    Args:
        path: A run folder or a search folder.

    Raises:
        RunFolderError: The search is not finished.
    """
    folder = Path(path)
    if not (folder / "search.json").is_file():
        return folder
    if not (folder / "record.json").is_file():
        raise RunFolderError(
            f"the search in {str(folder)!r} is not finished; re-run the same command to resume it"
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
    """Mirrors a run to a store. No method raises: a dead store causes one warning."""

    def start(self, folder: Path, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Start the run in a folder, or continue it.

        Args:
            folder: The run folder.
            parameters: The configuration, nested.
            tags: Tags of the run.
        """

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Mirror one line of ``metrics.jsonl``.

        Args:
            step: The training step.
            metrics: Finite numbers by name.
        """

    def finish(self, status: str, record: RunRecord | None = None) -> None:
        """End the run.

        Args:
            status: ``FINISHED``, ``KILLED`` (interrupted) or ``FAILED``.
            record: The record of a finished run.
        """


class NullTracker:
    """Tracks nothing."""

    def start(self, folder: Path, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Do nothing."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Do nothing."""

    def finish(self, status: str, record: RunRecord | None = None) -> None:
        """Do nothing."""


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of JSON objects, such as ``metrics.jsonl``; without a file, none.

    What a killed process left of a line is skipped, and a line that is no object or is nested too
    deeply.
    """
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            lines.append(line)
    return lines


def split_line(line: Mapping[str, Any]) -> tuple[int, dict[str, float]]:
    """Split a line of ``metrics.jsonl`` into its step and its finite numbers."""
    numbers = {k: float(v) for k, v in line.items() if isinstance(v, int | float) and k != "step"}
    return int(line["step"]), {k: v for k, v in numbers.items() if math.isfinite(v)}
