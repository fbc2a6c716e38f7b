"""What a search for settings remembers: its seconds, its trials as they end, their table."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from filelock import FileLock

from ctrkit.files import write_json
from ctrkit.records import Tracker, split_line
from ctrkit.search.params.pareto import best_of
from ctrkit.search.params.study import WORKERS, Trials, slot_of

if TYPE_CHECKING:
    from ctrkit.search.params.study import FrozenTrial
logger = logging.getLogger(__name__)


class Clock:
    """Counts the seconds of a search over all its resumes."""

    def __init__(self, path: Path, limit: float | None) -> None:
        self.path, self.limit = path, limit
        self.before = 0.0
        if path.is_file():
            self.before = float(json.loads(path.read_text(encoding="utf-8"))["seconds"])
        self.start = time.monotonic()

    def seconds(self) -> float:
        """Return the seconds so far."""
        return self.before + time.monotonic() - self.start

    def over(self) -> bool:
        """Say whether no trial may begin."""
        return self.limit is not None and self.seconds() >= self.limit

    def tick(self) -> None:
        """Remember the seconds."""
        write_json(self.path, {"seconds": self.seconds()})


class History:
    """``metrics.jsonl`` of a search: a line per finished trial, mirrored to the parent run."""

    def __init__(
        self, folder: Path, objectives: Sequence[str], tracker: Tracker, progress: Any
    ) -> None:
        self.path, self.objectives = folder / "metrics.jsonl", objectives
        self.tracker, self.progress = tracker, progress
        self.lock = FileLock(str(folder / WORKERS / "history.lock"))
        self.known: set[int] = set()

    def take(self, trials: Trials) -> None:
        """Write what ended since the last call, unless another process did."""
        ended = trials.finished()
        if not ended.keys() - self.known:
            return
        with self.lock:
            self.known |= self._written()
            fresh = [t for n, t in ended.items() if n not in self.known]
            for trial in sorted(fresh, key=lambda t: str(t.datetime_complete)):
                self._write(trial, ended, trials.config.trials)

    def _written(self) -> set[int]:
        text = self.path.read_text(encoding="utf-8") if self.path.is_file() else ""
        return {int(json.loads(line)["trial"]) for line in text.splitlines()}

    def _write(self, trial: FrozenTrial, ended: Mapping[int, FrozenTrial], total: int) -> None:
        self.known.add(slot_of(trial))
        line: dict[str, Any] = {
            "step": len(self.known),
            "trial": slot_of(trial),
            "state": trial.state.name,
        }
        if trial.state.name == "COMPLETE":
            line |= zip(self.objectives, trial.values, strict=True)
        best = best_of([t for n, t in ended.items() if n in self.known], self.objectives)
        if best is not None:
            line[f"best_{self.objectives[0]}"] = best.values[0]
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._say(line, total)
        step, numbers = split_line(line)
        self.tracker.log(step, numbers)

    def _say(self, line: Mapping[str, Any], total: int) -> None:
        first = self.objectives[0]
        best = line.get(f"best_{first}")
        shown = "" if best is None else f"best {first} {best:.5f}"
        value = f" {first} {line[first]:.5f}," if first in line else ""
        how = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[line["state"]]
        logger.info(
            "trial %d %s:%s %s (%d of %d)",
            line["trial"],
            how,
            value,
            shown or "none is complete yet",
            line["step"],
            total,
        )
        if self.progress is not None:
            self.progress.update("trials", line["step"], total, shown)


def trials_frame(trials: Trials, objectives: Sequence[str]) -> pl.DataFrame:
    """Return ``trials.parquet``: a row per trial of Optuna's; a retry names whose."""
    rows = []
    for t in trials.trials():
        attrs = t.user_attrs
        values = t.values if t.state.name == "COMPLETE" else [None] * len(objectives)
        rows.append(
            {
                "trial": slot_of(t),
                "number": t.number,
                "attempt": int(attrs.get("attempt", 0)),
                "retry_of": attrs.get("retry_of"),
                "state": t.state.name,
                **dict(zip(objectives, values, strict=True)),
                **{
                    f"param.{k}": json.dumps(v) if isinstance(v, bool | str) else v
                    for k, v in t.params.items()
                },
                "evaluations": len(t.intermediate_values),
                "begun": t.datetime_start,
                "ended": t.datetime_complete,
                "seconds": attrs.get("seconds"),
                "epochs": attrs.get("epochs"),
                "parameters": attrs.get("parameters"),
                "config_sha256": attrs.get("config_sha256"),
                "failure": attrs.get("failure"),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)
