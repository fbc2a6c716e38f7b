"""``ctrkit train``: raw columns to a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from ctrkit.records import Progress
from ctrkit.runs.inputs import DataOptions, PathLike, Plugins, job_config, open_job
from ctrkit.runs.train import RunResult, run_training


def train(
    data: PathLike | None = None,
    *,
    model: str | None = None,
    out: PathLike = "run",
    seed: int | None = None,
    force: bool = False,
    plugins: Sequence[PathLike] = (),
    trust_plugins: bool = False,
    progress: Progress | None = None,
    **options: Unpack[DataOptions],
) -> RunResult:
    """Train a model on raw columns; write a run folder that scores raw rows.

    Args:
        data: File, glob, directory or URL of raw rows; or a ``run.toml`` (``config.json``) that
            names them under ``[data] path``.
        model: A preset, or a registered interaction alone.
        out: The run folder. An interrupted run in it is resumed.
        seed: Seed of the weights and the batches (``train.seed``); the split has
            ``data.split_seed``.
        force: Overwrite the run in ``out``, whether it is another run or this one, finished.
        plugins: Python files that register components.
        trust_plugins: Run the plug-in code that a ``run.toml`` names.
        progress: Shows how far the job is.
        **options: See :class:`~ctrkit.runs.inputs.DataOptions`.

    Returns:
        The folder, its record and where it is tracked.
    """
    path = None if data is None else Path(data)
    is_config = path is not None and (path.suffix == ".toml" or path.name == "config.json")
    config = job_config(
        None if is_config else data,
        options,
        config=path if is_config else None,
        model=model,
        seed=seed,
        plugins=Plugins(plugins, trust_plugins),
    )
    rows = open_job(config.data, options)
    return run_training(
        config,
        rows.source,
        rows.schema,
        Path(out),
        force=force,
        warnings=rows.warnings,
        progress=progress,
    )
