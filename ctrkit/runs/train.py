"""One training run: claim a folder, prepare the data, fit, judge, leave a bundle.

The folder is the truth: config, schema and encoder are written before the first step, so that a
run that was cut goes on when the same command is given again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import platform
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ctrkit.bundle import load_weights, save_inputs, save_weights
from ctrkit.config.sections import RunConfig
from ctrkit.data.encode.crosses import FORMAT as CROSSES_FORMAT
from ctrkit.data.encode.crosses import count_crosses, load_crosses, save_crosses
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.read.sources import Source
from ctrkit.data.store.batches import Batches
from ctrkit.data.store.cache import home
from ctrkit.data.store.dataset import Dataset, prepare_dataset
from ctrkit.errors import ConfigError, SchemaError
from ctrkit.evaluate import Scores, judge, save_predictions, score_batches
from ctrkit.files import write_json
from ctrkit.models.build import (
    build_model,
    count_parameters,
    memorized_pairs,
    resolve_model,
    uses_batch_norm,
)
from ctrkit.models.model import Model
from ctrkit.records import RunRecord, Tracker, split_line
from ctrkit.report import summarise_run, write_report
from ctrkit.runs.folder import RunFolder
from ctrkit.runs.shared import shared_folder
from ctrkit.schema import Schema
from ctrkit.track import make_tracker, tracked_at
from ctrkit.train import Callback, Context, FitResult, Pruned, fit
from ctrkit.version import __version__

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        folder: The run folder; :func:`ctrkit.load` reads it.
        record: What happened.
        tracked: Where MLflow holds it, or None.
    """

    folder: Path
    record: RunRecord
    tracked: str | None


def run_training(
    config: RunConfig,
    source: Source,
    schema: Schema,
    folder: Path,
    *,
    force: bool = False,
    warnings: list[str] | None = None,
    progress: Any = None,
    callbacks: Sequence[Callback] = (),
) -> RunResult:
    """Train one model and leave its run folder; go on where an equal run was cut.

    Args:
        config: The job.
        source: Raw rows.
        schema: What they mean.
        folder: The run folder.
        force: Replace another run in it.
        warnings: To be told.
        progress: Object with ``update(stage, done, total, text)``.
        callbacks: Of the loop.

    Raises:
        RunFolderError: The folder holds another run or foreign files.
        Pruned: A callback gave the run up.
    """
    started = time.perf_counter()
    if schema.label is None:
        raise SchemaError("training needs a label: name its column with --label")
    check_device(config.train.device)
    config = resolve(config)
    fingerprint = source.fingerprint()
    work = RunFolder(folder, config, schema, fingerprint)
    work.claim(force=force)
    if work.finished() and not force:
        logger.info("%s already holds this run, finished; --force trains it again", folder)
        return RunResult(folder, RunRecord.load(folder / "record.json"), tracked_at(folder))
    for warning in warnings or []:
        logger.warning(warning)
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    dataset = load_dataset(config, source, schema, progress)
    for warning in dataset.warnings:
        logger.warning(warning)
    dataset = with_crosses(config, dataset)
    work.open(force=force)
    info = {**dataset.info, "source": fingerprint}
    write_json(folder / "dataset.json", info, sort_keys=True, default=str)
    save_inputs(folder, config, dataset.encoder, dataset.layout)
    train = config.train
    model = build_model(
        config.model, dataset.layout, seed=train.seed, sparse_from=train.sparse_from
    )
    if config.train.init not in (None, "random"):
        load_weights(model, Path(str(config.train.init)))
    model.start_at(dataset.shards.positives("train") / dataset.shards.rows("train"))
    tracker = make_tracker(config.track, name=f"{config.model.name}-{train.seed}")
    tracker.start(folder, json.loads(config.canonical_json()), _tags(config, folder, dataset))
    try:
        record = _fit_and_judge(
            config,
            dataset,
            model,
            folder,
            tracker,
            [*(warnings or []), *dataset.warnings],
            progress,
            started,
            callbacks,
        )
    except (KeyboardInterrupt, Pruned):
        tracker.finish("KILLED")
        raise
    except BaseException:
        tracker.finish("FAILED")
        raise
    tracker.finish("FINISHED", record)
    return RunResult(folder, record, tracked_at(folder))


def resolve(config: RunConfig) -> RunConfig:
    """Settle every choice that was left open, so that the run folder says what was done."""
    model, train = resolve_model(config.model), config.train
    if train.micro_batch is None:
        on_cpu = train.device == "cpu" or not torch.cuda.is_available()
        attends = "attention" in (model.interactions or ()) and not uses_batch_norm(model)
        train = train.model_copy(update={"micro_batch": 512 if attends and on_cpu else 0})
    return config.model_copy(update={"model": model, "train": train})


def check_device(device: str) -> None:
    """Refuse a device that torch does not know, or that this machine has not.

    Raises:
        ConfigError: One line about it.
    """
    if device == "auto":
        return
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise ConfigError(f"train.device is auto, cpu or cuda; got {device!r}") from None
    if kind not in ("cpu", "cuda"):
        raise ConfigError(f"train.device is auto, cpu or cuda; got {device!r}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError("train.device = 'cuda', but this machine has no CUDA; use auto or cpu")


def load_dataset(config: RunConfig, source: Source, schema: Schema, progress: Any) -> Dataset:
    """Return the encoded rows of a job, from the cache where they are there."""
    frozen = config.data.encoder
    return prepare_dataset(
        source,
        schema,
        split=config.data.split,
        seed=config.data.split_seed,
        encoder=Encoder.load(Path(frozen)) if frozen else None,
        cache=home() / "cache" if config.data.cache else None,
        cache_limit=config.data.cache_limit,
        progress=progress,
    )


def with_crosses(config: RunConfig, dataset: Dataset) -> Dataset:
    """Count the exact crosses that a resolved model memorizes, where they are not counted yet."""
    layout, least = dataset.layout, config.model.cross_min_count
    pairs = memorized_pairs(config.model, layout) if config.model.crosses == "exact" else []
    if not pairs:
        return dataset
    names = tuple((layout.names[i], layout.names[j]) for i, j in pairs)
    known = layout.crosses
    if known is not None and known.pairs == names and known.min_count == least:
        return dataset
    facts = {
        "crosses": names,
        "min_count": least,
        "rows": dataset.info["fingerprint"],
        "format": CROSSES_FORMAT,
    }

    def build(folder: Path) -> None:
        logger.info("counting the crosses of %d pairs", len(pairs))
        batches = Batches(dataset.shards, "train", 65_536, shuffle=False).epoch(0)
        save_crosses(folder, count_crosses(batches, layout, pairs).frozen(least), layout)

    with shared_folder(config.data, facts, build) as folder:
        crosses = load_crosses(folder, layout)
    encoder = replace(dataset.encoder, crosses=crosses)
    return replace(dataset, encoder=encoder, layout=encoder.layout())


def _batches(config: RunConfig, dataset: Dataset, split: str) -> Batches:
    train = config.train
    if split == "train":
        return Batches(
            dataset.shards,
            split,
            train.batch_size,
            shuffle=True,
            seed=train.seed,
            window=train.shuffle_rows,
        )
    return Batches(dataset.shards, split, train.micro_batch or 4096, shuffle=False)


def _scores(model: Model, config: RunConfig, dataset: Dataset, split: str) -> Scores:
    return score_batches(model, _batches(config, dataset, split).epoch(0))


def _fit_and_judge(
    config: RunConfig,
    dataset: Dataset,
    model: Model,
    folder: Path,
    tracker: Tracker,
    warnings: list[str],
    progress: Any,
    started: float,
    callbacks: Sequence[Callback],
) -> RunRecord:
    def validate(model: Model) -> dict[str, float]:
        found = judge(_scores(model, config, dataset, "validation"), intervals=False)
        return {name: found[name] for name in ("auc", "logloss", "ne", "calibration")}

    result = fit(
        model,
        _batches(config, dataset, "train"),
        config.train,
        evaluate=validate,
        callbacks=(_Mirror(tracker), *callbacks),
        folder=folder,
        progress=progress,
    )
    save_weights(folder, model, dataset.layout)
    metrics = {}
    for split in ("validation", "test"):
        scores = _scores(model, config, dataset, split)
        save_predictions(folder, split, scores)
        metrics[split] = judge(scores)
        del scores  # before the next part's
    record = _record(config, dataset, model, result, metrics, warnings, started)
    record.save(folder / "record.json")
    write_report(summarise_run(folder), folder / "report.html")
    return record


class _Mirror(Callback):
    """Passes each evaluation on to the tracker."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    def evaluated(self, context: Context, line: Mapping[str, Any]) -> str | None:
        step, metrics = split_line(line)
        self.tracker.log(step, metrics)
        return None


def _record(
    config: RunConfig,
    dataset: Dataset,
    model: Model,
    result: FitResult,
    metrics: dict[str, dict[str, Any]],
    warnings: list[str],
    started: float,
) -> RunRecord:
    info = dataset.info
    return RunRecord(
        metrics=metrics,
        seed=config.train.seed,
        data=info,
        config_sha256=config.sha256(),
        versions=versions(),
        timings={
            "encode_rows_s": info.get("encode_rows_s") or 0.0,
            "train_examples_s": result.examples_s,
            "total_s": time.perf_counter() - started,
        },
        parameters=count_parameters(model),
        memory={"peak_bytes": peak_memory()},
        training=result.facts(),
        warnings=warnings,
    )


def versions() -> dict[str, str]:
    """Return the versions of ctrkit and of what shapes its numbers."""
    found = {"ctrkit": __version__, "python": platform.python_version()}
    for name in ("torch", "polars", "polars-hash", "pyarrow", "numpy", "mlflow", "optuna"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def peak_memory() -> int:
    """Return the peak resident memory of this process, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _tags(config: RunConfig, folder: Path, dataset: Dataset) -> dict[str, str]:
    return {
        "ctrkit.config_sha256": config.sha256(),
        "ctrkit.run_folder": str(folder.absolute()),
        "ctrkit.data": str(dataset.info.get("fingerprint", "")),
        "ctrkit.model": config.model.name,
    }
