"""``ctrkit schema``: what the columns mean."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Unpack

from typer import Option

from ctrkit.cli.options import Data, DataOptions, ForceFile, Json
from ctrkit.cli.printing import show, warn


def schema(
    data: Data,
    out: Annotated[
        Path | None, Option("-o", "--out", help="File to write; default: print the schema.")
    ] = None,
    force: ForceFile = False,
    json: Json = False,
    **options: Unpack[DataOptions],
) -> None:
    """Infer what the columns mean, and warn of problems.

    The schema.toml can be edited, and given to other verbs with --schema.

    Example: ctrkit schema clicks.parquet --label click -o schema.toml
    """
    from ctrkit import jobs

    inferred, warnings = jobs.schema(data, out=out, force=force, **options)
    for warning in warnings:
        warn(warning)
    result = {"file": out, "schema": dataclasses.asdict(inferred), "warnings": warnings}
    text = f"wrote {out}" if out else inferred.to_toml().rstrip()
    show(result, [text], as_json=json)
