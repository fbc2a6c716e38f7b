"""``ctrkit sync``: send to MLflow what it missed while it was down."""

from __future__ import annotations

from pathlib import Path

from ctrkit.runs.inputs import PathLike
from ctrkit.track import sync as sync_run


def sync(run: PathLike) -> int:
    """Send to MLflow what it missed of a run or a search; return the number of metric lines."""
    return sync_run(Path(run))
