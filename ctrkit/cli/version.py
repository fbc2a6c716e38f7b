"""``ctrkit version``."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from ctrkit.cli.printing import show


def version(
    json: Annotated[
        bool, Option("--json", show_default=False, help="The output is JSON in any case.")
    ] = True,
) -> None:
    """Print the versions of ctrkit and its libraries, as JSON.

    Example: ctrkit version
    """
    from ctrkit import jobs

    show(jobs.versions(), (), as_json=json)
