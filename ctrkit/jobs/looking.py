"""Verbs that need no model: what columns mean, and rows as codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

from ctrkit.data.dataset import Dataset, prepare_dataset
from ctrkit.errors import SchemaError
from ctrkit.jobs.inputs import DataOptions, PathLike, job_config, open_job
from ctrkit.jobs.outputs import write_text
from ctrkit.schema import Schema


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
    config = job_config(data, options)
    _, found, warnings = open_job(config, options)
    if out is not None:
        write_text(Path(out), found.to_toml(), force=force)
    return found, warnings


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
    source, found, _ = open_job(config, options)
    if found.label is None:
        raise SchemaError("encoding needs a label: name its column with --label")
    return prepare_dataset(
        source, found, split=config.data.split, out=Path(out), force=force,
        seed=config.data.seed if seed is None else seed, progress=progress,
    )  # fmt: skip
