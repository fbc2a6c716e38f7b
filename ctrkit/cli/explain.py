"""``ctrkit explain``: which field pairs a run combines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from ctrkit.cli.options import Data, Json, Run, Trust
from ctrkit.cli.printing import show


def explain(
    run: Run,
    data: Data,
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="JSON file to write; default: explain.json in the run folder."),
    ] = None,
    rows: Annotated[int, Option(min=2, help="Number of rows to sample.")] = 20_000,
    top: Annotated[int, Option(min=1, help="Number of pairs and values to show.")] = 10,
    seed: Annotated[int, Option(help="Seed of the sample and the permutations.")] = 0,
    trust_plugins: Trust = False,
    json: Json = False,
) -> None:
    """Show which field pairs a model combines.

    Pairs are ranked by attention, where the model has it, and by ablation: the log loss when both
    fields are permuted together, compared with each alone.

    Example: ctrkit explain run clicks.parquet --top 20
    """
    from ctrkit import jobs

    explanation = jobs.explain(
        run, data, out=out, rows=rows, top=top, seed=seed, trust_plugins=trust_plugins
    )
    show(explanation, [jobs.explanation_text(explanation, top)], as_json=json)
