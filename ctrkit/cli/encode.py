"""``ctrkit encode``: raw columns to an encoder and shards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Unpack

from typer import Option

from ctrkit.cli.options import Data, DataOptions, Force, Json, OutFolder
from ctrkit.cli.printing import show, warn
from ctrkit.cli.progress import ProgressBar


def encode(
    data: Data,
    out: OutFolder = Path("shards"),
    seed: Annotated[int | None, Option(help="Seed of the random split (data.split_seed).")] = None,
    force: Force = False,
    json: Json = False,
    **options: Unpack[DataOptions],
) -> None:
    """Encode raw columns as shards of integer codes.

    The folder gets the fitted encoder and the shards. Training does this by itself, and keeps the
    shards in a cache.

    Example: ctrkit encode clicks.parquet --label click -o shards
    """
    from ctrkit import jobs

    with ProgressBar() as progress:
        dataset = jobs.encode(data, out=out, seed=seed, force=force, progress=progress, **options)
    for warning in dataset.warnings:
        warn(warning)
    rows = dataset.info.rows
    text = ", ".join(f"{split} {count:,}" for split, count in rows.items())
    result = {"folder": out, "rows": rows, "warnings": dataset.warnings}
    show(result, [f"wrote {out}: {text} rows"], as_json=json)
