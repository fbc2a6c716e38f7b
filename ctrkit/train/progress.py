"""How far training is, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Cursor:
    """The part of a checkpoint that is neither weights nor state of optimisers.

    Attributes:
        step: Finished steps over all epochs.
        evaluated: Step of the last evaluation.
        best_step: Step of the best evaluation; -1: none could be compared.
        best_metrics: Its metrics.
        waited: Evaluations since then.
        plateaus: Epochs so far at whose end no evaluation had improved on the best before.
        stopped: Why training ended; empty while it runs.
        precision: ``fp32`` or ``bf16``.
        lines: Length of ``metrics.jsonl`` in bytes.
        seconds: Time spent in steps.
        rows: Rows seen in them.
        since_rows: Rows since the last evaluation.
        since_seconds: Seconds since the last evaluation.
    """

    step: int = 0
    evaluated: int = 0
    best_step: int = -1
    best_metrics: dict[str, float] = field(default_factory=dict)
    waited: int = 0
    plateaus: int = 0
    stopped: str = ""
    precision: str = "fp32"
    lines: int = 0
    seconds: float = 0.0
    rows: int = 0
    since_rows: int = 0
    since_seconds: float = 0.0

    def count(self, rows: int) -> None:
        """Count a finished step."""
        self.step += 1
        self.rows += rows
        self.since_rows += rows

    def spend(self, seconds: float) -> None:
        """Add the time of a step."""
        self.seconds += seconds
        self.since_seconds += seconds

    def compare(self, metrics: Mapping[str, float], monitor: str, per_epoch: int) -> bool:
        """Return whether an evaluation is the best so far; if so, take note of it.

        Args:
            metrics: Of the evaluation.
            monitor: The metric to compare.
            per_epoch: Evaluations per epoch: as many in a row without gain are a plateau.
        """
        sign = 1 if monitor == "auc" else -1
        best = sign * self.best_metrics.get(monitor, -sign * math.inf)
        self.waited += 1
        if sign * metrics[monitor] > best:
            self.best_step, self.best_metrics, self.waited = self.step, dict(metrics), 0
            return True
        self.plateaus += self.waited % per_epoch == 0
        return False


@dataclass(frozen=True)
class FitResult:
    """What training did.

    Attributes:
        steps: Finished steps.
        epochs: Epochs begun.
        best_step: Step of the evaluation whose weights were kept; -1: none could be compared.
        best_metrics: Its metrics on validation.
        stopped: ``epochs``, ``patience`` or a callback's reason.
        examples_s: Rows per second in training steps.
        precision: ``fp32`` or ``bf16``.
        device: Where it ran.
        threads: CPU threads of torch.
    """

    steps: int
    epochs: int
    best_step: int
    best_metrics: dict[str, float]
    stopped: str
    examples_s: float
    precision: str
    device: str
    threads: int

    def facts(self) -> dict[str, Any]:
        """Return plain data, for ``record.json``."""
        return asdict(self)
