"""``ctrkit version``."""

from __future__ import annotations

from ctrkit.cli.options import Json
from ctrkit.cli.printing import show


def version(json: Json = True) -> None:
    """Print the versions of ctrkit and its libraries, as JSON.

    Example: ctrkit version
    """
    from ctrkit import jobs

    show(jobs.versions(), (), as_json=json)
