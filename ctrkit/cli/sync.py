"""``ctrkit sync``: replay to MLflow what an unreachable server missed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument

from ctrkit.cli.options import Json, Store
from ctrkit.cli.printing import show


def sync(
    runs: Annotated[list[Path], Argument(metavar="RUN...", help="Run folders.")],
    uri: Store = None,
    json: Json = False,
) -> None:
    """Send to MLflow what an unreachable server missed.

    Example: ctrkit sync run
    """
    from ctrkit import jobs

    lines = {run: jobs.sync(run, uri=uri) for run in runs}
    result = [{"run": run, "lines": count} for run, count in lines.items()]
    show(result, [f"{run}: {count} lines replayed" for run, count in lines.items()], as_json=json)
