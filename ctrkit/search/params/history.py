"""The history of a search: a line per finished trial as it ends, and the table of all trials."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock

from ctrkit.files import cut_half_line
from ctrkit.records import Progress, Tracker, read_lines, split_line
from ctrkit.runs.folder import WORKERS
from ctrkit.search.params.pareto import best_of
from ctrkit.search.params.study import Trials
from ctrkit.search.params.trial import COMPLETE, FAIL, PRUNED, Attempt

logger = logging.getLogger(__name__)
STATES = {COMPLETE: "complete", PRUNED: "pruned", FAIL: "failed"}
"""Optuna's name of a state -> the word for it."""


@dataclass(frozen=True)
class HistoryLine:
    """One line of ``metrics.jsonl``.

    Attributes:
        step: Finished trials so far, this one included.
        trial: Number of the trial.
        state: How it ended.
        values: Its objectives by name; empty unless complete.
        objective: Name of the first objective.
        best: Best value of the first objective so far; None: no trial is complete.
    """

    step: int
    trial: int
    state: str
    values: Mapping[str, float]
    objective: str
    best: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the line as it is written."""
        line = {"step": self.step, "trial": self.trial, "state": self.state, **self.values}
        return line if self.best is None else {**line, f"best_{self.objective}": self.best}

    def summary(self) -> str:
        """Return the best value so far in words; empty if there is none."""
        return "" if self.best is None else f"best {self.objective} {self.best:.5f}"


class History:
    """``metrics.jsonl`` of a search, mirrored to its tracked run.

    Args:
        folder: The search folder.
        objectives: Names of the objectives.
        tracker: Mirrors each line.
        progress: Shows how far the search is.
    """

    def __init__(
        self,
        folder: Path,
        objectives: Sequence[str],
        tracker: Tracker,
        progress: Progress | None,
    ) -> None:
        self.path, self.objectives = folder / "metrics.jsonl", objectives
        self.tracker, self.progress = tracker, progress
        self.lock = FileLock(str(folder / WORKERS / "history.lock"))
        self.written: set[int] = set()

    def update(self, trials: Trials) -> None:
        """Write a line for each trial that finished since, unless another process did."""
        finished = trials.finished()
        if not finished.keys() - self.written:
            return
        with self.lock:
            self.written |= self._in_file()
            fresh = [a for n, a in finished.items() if n not in self.written]
            for attempt in sorted(fresh, key=lambda a: str(a.ended)):
                self._write(attempt, finished, trials.config.trials)

    def _in_file(self) -> set[int]:
        return {int(line["trial"]) for line in read_lines(self.path)}

    def _write(self, attempt: Attempt, finished: Mapping[int, Attempt], total: int) -> None:
        self.written.add(attempt.slot)
        best = best_of([a for n, a in finished.items() if n in self.written], self.objectives)
        line = HistoryLine(
            step=len(self.written),
            trial=attempt.slot,
            state=attempt.state,
            values=dict(zip(self.objectives, attempt.values, strict=False)),
            objective=self.objectives[0],
            best=None if best is None else best.values[0],
        )
        data = line.to_json()
        cut_half_line(self.path)
        with self.path.open("ab") as file:
            file.write(json.dumps(data).encode() + b"\n")
        self._report(line, total)
        step, numbers = split_line(data)
        self.tracker.log(step, numbers)

    def _report(self, line: HistoryLine, total: int) -> None:
        value = line.values.get(line.objective)
        logger.info(
            "trial %d %s:%s %s (%d of %d)",
            line.trial,
            STATES[line.state],
            "" if value is None else f" {line.objective} {value:.5f},",
            line.summary() or "no trial is complete yet",
            line.step,
            total,
        )
        if self.progress is not None:
            self.progress.update("trials", line.step, total, line.summary())


def trials_frame(trials: Trials, objectives: Sequence[str]) -> pl.DataFrame:
    """Return ``trials.parquet``: a row per attempt; ``retry_of`` names the attempt it retries."""
    rows = [_row(attempt, objectives) for attempt in trials.attempts()]
    return pl.DataFrame(rows, infer_schema_length=None)


def _row(attempt: Attempt, objectives: Sequence[str]) -> dict[str, Any]:
    values = attempt.values or [None] * len(objectives)
    params = {
        f"param.{k}": json.dumps(v) if isinstance(v, bool | str) else v
        for k, v in attempt.params.items()
    }
    return {
        "trial": attempt.slot,
        "number": attempt.number,
        "attempt": attempt.retries,
        "retry_of": attempt.retry_of,
        "state": attempt.state,
        **dict(zip(objectives, values, strict=True)),
        **params,
        "evaluations": attempt.evaluations,
        "begun": attempt.begun,
        "ended": attempt.ended,
        "seconds": attempt.seconds,
        "epochs": attempt.epochs,
        "parameters": attempt.parameters,
        "config_sha256": attempt.config_sha256,
        "failure": attempt.failure,
    }
