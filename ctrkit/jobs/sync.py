"""``ctrkit sync``: send to MLflow what it missed while it was down."""

from __future__ import annotations

from pathlib import Path

from ctrkit.runs.inputs import PathLike
from ctrkit.track import sync as sync_run


def sync(run: PathLike, *, uri: str | None = None) -> int:
    """Send to MLflow what it missed of a run or a search; return the number of metric lines.

    Args:
        run: The run folder, or the search folder.
        uri: The store; None: ``CTRKIT_TRACKING_URI``, else SQLite in ``CTRKIT_HOME``. The folder
            does not choose it.
    """
    return sync_run(Path(run), uri)
