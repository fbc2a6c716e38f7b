"""``ctrkit schema``: what the columns mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from ctrkit.data.read.sources import Source, frame_source
from ctrkit.errors import DataError
from ctrkit.files import write_text
from ctrkit.runs.inputs import DataOptions, PathLike, open_job, text_options
from ctrkit.schema import Schema

LOOKED_AT = 100_000


def schema(
    data: PathLike,
    *,
    out: PathLike | None = None,
    force: bool = False,
    **options: Unpack[DataOptions],
) -> tuple[Schema, list[str]]:
    """Infer what the columns of ``data`` mean; return the schema and warnings.

    Args:
        data: File, glob, directory or URL.
        out: ``schema.toml`` to write.
        force: Replace ``out`` where it exists.
        **options: See :class:`~ctrkit.runs.inputs.DataOptions`.
    """
    rows = open_job(text_options(data, options), options)
    found, warnings = rows.schema, rows.warnings
    if found.label is not None:
        warnings = [*_quality(rows.source, found), *warnings]
    if out is not None:
        write_text(Path(out), found.to_toml(), force=force)
    return found, warnings


def _quality(source: Source, schema: Schema) -> list[str]:
    """Rank the first rows, for what is wrong with columns: leaks first."""
    from ctrkit.rank import rank_source

    head = next(source.file_frames(0, schema.required_columns(), rows=1)).frame
    try:
        found = rank_source(frame_source(head.head(LOOKED_AT)), replace(schema, time=None))
    except DataError as error:
        return [f"the label cannot be ranked by: {error}"]
    return [
        f"{warning} (in the first {min(head.height, LOOKED_AT):,} rows)"
        for warning in found.warnings
    ]
