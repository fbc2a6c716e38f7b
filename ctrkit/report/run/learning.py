"""Learning curves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from ctrkit.checksums import check_files
from ctrkit.records import RETRAIN, read_lines
from ctrkit.report.charts import Line
from ctrkit.report.run.files import RunFiles


def learning_curves(run: RunFiles) -> Iterator[Line]:
    """Yield log loss and AUC by step, where the folder holds ``metrics.jsonl``."""
    path = run.folder / "metrics.jsonl"
    check_files(run.folder, [path.name], RETRAIN)
    if not path.is_file():
        return
    logged = read_lines(path)
    losses = {
        name: _points(logged, key)
        for name, key in (("training", "train_loss"), ("validation", "logloss"))
    }
    aucs = {"validation": _points(logged, "auc")}
    yield Line("Log loss during training", "step", "log loss", losses)
    yield Line("AUC during training", "step", "AUC", aucs)


def _points(logged: list[dict[str, Any]], key: str) -> list[list[float]]:
    """Return step and value of the lines that hold both as numbers."""
    pairs: list[list[Any]] = [[line.get("step"), line.get(key)] for line in logged]
    return [pair for pair in pairs if all(map(_is_number, pair))]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max
