"""``ctrkit schema``: what the columns of a data set mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from ctrkit.data.read.sources import Source, frame_source
from ctrkit.errors import DataError
from ctrkit.files import write_text
from ctrkit.runs.inputs import DataOptions, PathLike, open_job, text_options
from ctrkit.schema import Schema

CHECKED_ROWS = 100_000
"""Rows at the start of the data that are checked for leaks and broken columns."""


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
        out: The ``schema.toml`` to write.
        force: Overwrite ``out`` if it exists.
        **options: See :class:`~ctrkit.runs.inputs.DataOptions`.
    """
    rows = open_job(text_options(data, options), options)
    warnings = rows.warnings
    if rows.schema.label is not None:
        warnings = [*_quality(rows.source, rows.schema), *warnings]
    if out is not None:
        write_text(Path(out), rows.schema.to_toml(), force=force)
    return rows.schema, warnings


def _quality(source: Source, schema: Schema) -> list[str]:
    """Rank the first rows; return what is wrong with the columns, leaks first."""
    from ctrkit.rank import rank_source

    head = next(source.file_frames(0, schema.required_columns(), rows=1)).frame
    try:
        ranking = rank_source(frame_source(head.head(CHECKED_ROWS)), replace(schema, time=None))
    except DataError as error:
        return [f"the columns cannot be checked against the label: {error}"]
    return [
        f"{warning} (in the first {min(head.height, CHECKED_ROWS):,} rows)"
        for warning in ranking.warnings
    ]
