"""``ctrkit sync``: replay to MLflow what a dead server missed."""

from __future__ import annotations

from pathlib import Path

from ctrkit.runs.inputs import PathLike
from ctrkit.track import sync as sync_run


def sync(run: PathLike) -> int:
    """Replay to MLflow what a dead tracking server missed; return the number of lines."""
    return sync_run(Path(run))
