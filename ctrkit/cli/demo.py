"""``ctrkit demo``: a tour on generated data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from ctrkit.cli.options import Force, OutFolder
from ctrkit.cli.printing import print_line
from ctrkit.cli.progress import ProgressBar


def demo(
    out: OutFolder = Path("demo"),
    rows: Annotated[int, Option(min=2_000, help="Number of rows to generate.")] = 200_000,
    seed: Annotated[int, Option(help="Seed of the data and the models.")] = 0,
    force: Force = False,
) -> None:
    """Train, explain and compare on generated data.

    The data have planted effects, and the output compares them with what the models found.

    Example: ctrkit demo --rows 50000
    """
    from ctrkit import jobs

    with ProgressBar() as progress:
        lines = jobs.demo(out, rows=rows, seed=seed, force=force, progress=progress)
    for line in lines:
        print_line(line)
