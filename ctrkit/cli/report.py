"""``ctrkit report``: one run, or a comparison of several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from ctrkit.cli.options import ForceFile, Json
from ctrkit.cli.printing import show


def report(
    runs: Annotated[list[Path], Argument(metavar="RUN...", help="Run folders, or search folders.")],
    out: Annotated[Path, Option("-o", "--out", help="File to write: .html, .md or .json.")] = Path(
        "report.html"
    ),
    force: ForceFile = False,
    json: Json = False,
) -> None:
    """Write a report of a run, or a comparison of several.

    The HTML file needs no network.

    Example: ctrkit report lr autoint -o comparison.html
    """
    from ctrkit import jobs

    jobs.report(runs, out=out, force=force)
    show({"file": out, "runs": runs}, [f"wrote {out}"], as_json=json)
