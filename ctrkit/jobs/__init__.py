"""The Python API: one function per verb of the command line, with the same name and arguments.

Example::

    from ctrkit import jobs, load

    result = jobs.train("clicks.parquet", label="click", out="run")
    load("run").predict(frame)
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from ctrkit.bundle import load
from ctrkit.data.dataset import Dataset, prepare_dataset
from ctrkit.data.sources import open_source
from ctrkit.errors import CtrkitError, DataError, RunFolderError, SchemaError
from ctrkit.evaluate import explain_source, explanation_text, score_source
from ctrkit.jobs.demonstration import demo
from ctrkit.jobs.inputs import DataOptions, PathLike, job_config, open_job, read_options
from ctrkit.jobs.training import RunResult, run_training, versions
from ctrkit.metrics import evaluate_logits
from ctrkit.registry import load_plugin, registry
from ctrkit.report import summarise_run, summarise_runs, write_report
from ctrkit.schema import Schema
from ctrkit.testing import Verdict, check_interaction
from ctrkit.track import sync as sync_run

__all__ = [
    "RunResult", "check", "demo", "encode", "evaluate", "explain", "explanation_text", "predict",
    "report", "schema", "sync", "train", "versions",
]  # fmt: skip


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
        _write(Path(out), found.to_toml(), force=force)
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


def train(
    data: PathLike | None = None,
    *,
    model: str | None = None,
    out: PathLike = "run",
    seed: int | None = None,
    force: bool = False,
    plugins: Sequence[PathLike] = (),
    progress: Any = None,
    **options: Unpack[DataOptions],
) -> RunResult:
    """Train a model on raw columns; leave a run folder that scores raw rows.

    Args:
        data: File, glob, directory or URL of raw rows; or a ``run.toml`` (``config.json``) that
            names them under ``[data] path``.
        model: A preset, or a registered interaction alone.
        out: The run folder. An equal run that was cut goes on; another run needs ``force``.
        seed: Of weights and batches (``train.seed``).
        force: Replace the run in ``out``.
        plugins: Python files that register components.
        progress: Object with ``update(stage, done, total, text)``.
        **options: See :class:`~ctrkit.jobs.inputs.DataOptions`.

    Returns:
        The folder, its record and where it is tracked.
    """
    given = None if data is None else Path(data)
    is_config = given is not None and (given.suffix == ".toml" or given.name == "config.json")
    config = job_config(
        None if is_config else data, options, config=given if is_config else None, model=model,
        seed=seed, plugins=plugins,
    )  # fmt: skip
    source, found, warnings = open_job(config, options)
    return run_training(
        config, source, found, Path(out), force=force, warnings=warnings, progress=progress
    )


def evaluate(
    run: PathLike,
    data: PathLike,
    *,
    out: PathLike | None = None,
    sampling_rate: float | None = None,
    force: bool = True,
    trust_plugins: bool = False,
) -> dict[str, Any]:
    """Judge a run on labelled raw rows; return metrics with 95 % intervals.

    Args:
        run: A run folder.
        data: Raw rows with the label.
        out: JSON file to write.
        sampling_rate: Share of negatives that ``data`` kept; None: as in training. Where it
            differs from training's, logits are shifted to match ``data``.
        force: Replace ``out`` where it exists.
        trust_plugins: Run the plug-in code that the run folder holds.
    """
    predictor = load(run, trust_plugins=trust_plugins)
    source = open_source(str(data), read_options(predictor.config.data, predictor.schema.columns))
    scores = score_source(predictor, source)
    if not len(scores.label):
        raise DataError(f"{data} holds no rows to judge")
    shift = 0.0
    if sampling_rate is not None:
        shift = _log_rate(predictor.config.data.sampling_rate) - _log_rate(sampling_rate)
    logit = scores.logit.astype(np.float64) + shift  # in float32 a shift makes ties
    metrics = evaluate_logits(scores.label, logit, scores.weight, scores.group)
    if out is not None:
        _write(Path(out), json.dumps(metrics, indent=1, sort_keys=True) + "\n", force=force)
    return metrics


def explain(
    run: PathLike,
    data: PathLike,
    *,
    out: PathLike | None = None,
    rows: int = 20_000,
    top: int = 10,
    seed: int = 0,
    trust_plugins: bool = False,
) -> dict[str, Any]:
    """Show which field pairs a run combines: attention lift, values, and the ablation score.

    Args:
        run: A run folder.
        data: Raw rows with the label.
        out: JSON file to write; None: ``explain.json`` in the run folder, whose report shows it.
        rows: Rows that are looked at.
        top: Pairs that are ablated, and values that are listed.
        seed: Of the permutations.
        trust_plugins: Run the plug-in code that the run folder holds.
    """
    predictor = load(run, trust_plugins=trust_plugins)
    source = open_source(str(data), read_options(predictor.config.data, predictor.schema.columns))
    found = explain_source(predictor, source, rows=rows, top=top, seed=seed)
    path = Path(run) / "explain.json" if out is None else Path(out)
    _write(path, json.dumps(found, indent=1) + "\n", force=True)
    if out is None and (Path(run) / "record.json").is_file():
        write_report(summarise_run(Path(run)), Path(run) / "report.html")
    return found


def predict(
    run: PathLike,
    data: PathLike,
    *,
    out: PathLike = "predictions.parquet",
    force: bool = False,
    trust_plugins: bool = False,
) -> int:
    """Score raw rows into a file of the key columns and ``prediction``; return their number.

    Args:
        run: A run folder.
        data: Raw rows; the label is not needed.
        out: ``.parquet`` or ``.csv`` file to write.
        force: Replace ``out`` where it exists.
        trust_plugins: Run the plug-in code that the run folder holds.
    """
    path = Path(out)
    if path.suffix not in (".parquet", ".csv"):
        raise CtrkitError(f"predictions are written to a .parquet or .csv file; got {str(out)!r}")
    _refuse(path, force=force)
    predictor = load(run, trust_plugins=trust_plugins)
    source = open_source(str(data), read_options(predictor.config.data, predictor.schema.columns))
    return predictor.predict_source(source, path)


def report(runs: Sequence[PathLike], *, out: PathLike = "report.html", force: bool = False) -> None:
    """Write one page about a run, or a comparison of several.

    Args:
        runs: Run folders.
        out: ``.html``, ``.md`` or ``.json`` file to write.
        force: Replace ``out`` where it exists.
    """
    path = Path(out)
    if path.suffix not in (".html", ".md", ".json"):
        raise CtrkitError(f"a report is a .html, .md or .json file; got {str(out)!r}")
    _refuse(path, force=force)
    folders = [Path(run) for run in runs]
    for folder in folders:
        if not (folder / "record.json").is_file():
            raise RunFolderError(f"{str(folder)!r} is no finished run: it has no record.json")
    summary = summarise_run(folders[0]) if len(folders) == 1 else summarise_runs(folders)
    write_report(summary, path)


def sync(run: PathLike) -> int:
    """Replay to MLflow what a dead tracking server missed; return the number of lines."""
    return sync_run(Path(run))


def check(file: PathLike) -> list[Verdict]:
    """Run the contract suite on every component of a plug-in file; return the verdicts."""
    entry = load_plugin(Path(file))
    added = [e for e in registry if e.module == entry.module]
    return [verdict for e in added for verdict in check_interaction(e.name)]


def _log_rate(rate: float) -> float:
    import math

    if not 0 < rate <= 1:
        raise CtrkitError(f"a sampling rate lies above 0 and up to 1; got {rate!r}")
    return math.log(rate)


def _refuse(path: Path, *, force: bool) -> None:
    if path.exists() and not force:
        raise CtrkitError(f"{str(path)!r} exists; name another file or replace it with --force")
    if not path.parent.is_dir():
        raise CtrkitError(f"the folder {str(path.parent)!r} does not exist")


def _write(path: Path, text: str, *, force: bool) -> None:
    _refuse(path, force=force)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
