"""Verbs that need no model: what columns mean, and rows as codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from ctrkit.data.dataset import Dataset, prepare_dataset
from ctrkit.data.sources import Source, frame_source
from ctrkit.errors import DataError, SchemaError
from ctrkit.jobs.inputs import DataOptions, PathLike, job_config, open_job, place_of
from ctrkit.jobs.outputs import write_text
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
        **options: See :class:`~ctrkit.jobs.inputs.DataOptions`.
    """
    source, found, warnings = open_job(place_of(data, options), options)
    if found.label is not None:
        warnings = [*_quality(source, found), *warnings]
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


def encode(
    data: PathLike,
    *,
    out: PathLike = "shards",
    seed: int | None = None,
    force: bool = False,
    progress: Any = None,
    **options: Unpack[DataOptions],
) -> Dataset:
    """Turn raw columns into an encoder and shards in the folder ``out``.

    Args:
        data: File, glob, directory or URL.
        out: Folder to write; it must be new, or ``force`` given.
        seed: Of the random split.
        force: Replace an earlier encoding in ``out``.
        progress: Object with ``update(stage, done, total, text)``.
        **options: See :class:`~ctrkit.jobs.inputs.DataOptions`.
    """
    config = job_config(data, options)
    source, found, _ = open_job(config.data, options)
    if found.label is None:
        raise SchemaError("encoding needs a label: name its column with --label")
    return prepare_dataset(
        source,
        found,
        split=config.data.split,
        out=Path(out),
        force=force,
        seed=config.data.seed if seed is None else seed,
        progress=progress,
    )
