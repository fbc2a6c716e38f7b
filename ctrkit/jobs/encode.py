"""``ctrkit encode``: raw columns to an encoder and encoded shards."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from ctrkit.data.store.dataset import Dataset, EncodeOptions, prepare_dataset
from ctrkit.errors import SchemaError
from ctrkit.records import Progress
from ctrkit.runs.inputs import DataOptions, PathLike, job_config, open_job
from ctrkit.runs.lock import folder_lock


def encode(
    data: PathLike,
    *,
    out: PathLike = "shards",
    seed: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    **options: Unpack[DataOptions],
) -> Dataset:
    """Encode raw columns; write the encoder and the shards to the folder ``out``.

    Args:
        data: File, glob, directory or URL.
        out: The folder to write.
        seed: Seed of the random split (``data.split_seed``); an encoding has no other.
        force: Overwrite an earlier encoding in ``out``.
        progress: Shows how far the job is.
        **options: See :class:`~ctrkit.runs.inputs.DataOptions`.
    """
    config = job_config(data, options, more={"data.split_seed": seed})
    rows = open_job(config.data, options)
    if rows.schema.label is None:
        raise SchemaError("encoding needs a label: name its column with --label")
    with folder_lock(Path(out)):
        return prepare_dataset(
            rows.source,
            rows.schema,
            EncodeOptions(config.data.split, config.data.split_seed),
            out=Path(out),
            force=force,
            progress=progress,
        )
