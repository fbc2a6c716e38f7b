"""``ctrkit check``: the contract suite on a plug-in."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit

from ctrkit.cli.options import Json
from ctrkit.cli.printing import show


def check(
    file: Annotated[Path, Argument(metavar="FILE", help="A plug-in file.")], json: Json = False
) -> None:
    """Run the contract suite on a plug-in file.

    Exits with code 1 if a check fails.

    Example: ctrkit check my_cross.py
    """
    from ctrkit import jobs

    verdicts = jobs.check(file)
    text = [
        f"{'ok  ' if v.ok else 'FAIL'} {v.component}: {v.name} {v.message}".rstrip()
        for v in verdicts
    ]
    show([dataclasses.asdict(verdict) for verdict in verdicts], text, as_json=json)
    if not all(verdict.ok for verdict in verdicts):
        raise Exit(1)
