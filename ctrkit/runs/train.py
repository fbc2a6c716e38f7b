"""One training run: claim a folder, prepare the data, fit, evaluate, save.

The run folder is the source of truth. Configuration, schema and encoder are written before the
first step, so that re-running the same command resumes an interrupted run. A run is finished when
its report is there; until then its checkpoint is kept, so that nothing is trained again.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ctrkit.bundle import load_weights, save_inputs, save_weights
from ctrkit.checksums import add_checksums, check_files, forget_checksums
from ctrkit.config.sections import RunConfig
from ctrkit.data.read.sources import Source
from ctrkit.data.store.batches import Batches
from ctrkit.data.store.dataset import Dataset
from ctrkit.errors import SchemaError
from ctrkit.evaluate import Scores, evaluate_scores, save_predictions, score_batches
from ctrkit.files import write_json
from ctrkit.models.build import build_model, count_parameters
from ctrkit.models.model import Model
from ctrkit.records import Progress, RunRecord, Tracker, split_line
from ctrkit.report import summarise_run, write_report
from ctrkit.runs.environment import peak_memory, versions
from ctrkit.runs.folder import RunFolder
from ctrkit.runs.lock import folder_lock
from ctrkit.runs.prepare import load_dataset, resolve, with_crosses
from ctrkit.schema import Schema
from ctrkit.track import left_open, make_tracker, tracked_at
from ctrkit.train import (
    Callback,
    Context,
    FitResult,
    Pruned,
    fit,
    pick_device,
    remove_checkpoint,
)

logger = logging.getLogger(__name__)
OUTCOME = ("record.json", "predictions", "metrics.jsonl", "report.html")
"""What gets checksums when the run is finished."""
SCORED_ROWS = 4096
"""Rows per forward pass of an evaluation, unless ``train.micro_batch`` is set."""


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        folder: The run folder; :func:`ctrkit.load` reads it.
        record: Metrics, timings and everything else in ``record.json``.
        tracked: Where MLflow holds the run, or None.
    """

    folder: Path
    record: RunRecord
    tracked: str | None

    @classmethod
    def load(cls, folder: Path) -> RunResult:
        """Return the finished run in a folder."""
        return cls(folder, RunRecord.load(folder / "record.json"), tracked_at(folder))


def run_training(
    config: RunConfig,
    source: Source,
    schema: Schema,
    folder: Path,
    *,
    force: bool = False,
    warnings: Sequence[str] = (),
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
) -> RunResult:
    """Train one model and leave its run folder; resume it if it was interrupted.

    Args:
        config: The job.
        source: Raw rows.
        schema: What the columns mean.
        folder: The run folder.
        force: Whether to overwrite a run in the folder.
        warnings: Warnings to log and to record.
        progress: Shows how far the run is.
        callbacks: Callbacks of the training loop.

    Raises:
        ConfigError: The device cannot be used.
        RunFolderError: The folder holds another run or files that do not belong to a run, or
            another process trains in it.
        SchemaError: No column is the label.
        Pruned: A callback stopped the run.
    """
    started = time.perf_counter()
    if schema.label is None:
        raise SchemaError("training needs a label: name its column with --label")
    pick_device(config.train.device)  # a mistake in it must leave the folder as it is
    config = resolve(config)
    work = RunFolder(folder, config, schema, source.fingerprint())
    with folder_lock(folder):
        work.claim(force=force)
        if not force and _finished(work):
            _ = RunResult.load(folder)  # a broken record is an error, not news
            logger.info("%s already holds this run, finished; --force trains it again", folder)
            _end_tracking(config, folder)
            return RunResult.load(folder)
        _log_warnings(warnings)
        if config.train.threads:
            torch.set_num_threads(config.train.threads)
        dataset = load_dataset(config, source, schema, progress)
        _log_warnings(dataset.warnings)
        dataset = with_crosses(config, dataset)
        work.open(force=force)
        work.clean()
        forget_checksums(folder)
        info = {**asdict(dataset.info), "source": work.identity["source"]}
        write_json(folder / "dataset.json", info, sort_keys=True, default=str)
        save_inputs(folder, config, dataset.encoder, dataset.layout)
        run = Training(config, dataset, folder, (*warnings, *dataset.warnings), started)
        model = run.initial_model()
        with run.tracked() as tracker:
            record = run.train(model, tracker, progress, callbacks)
            tracker.finish("FINISHED", record)
        return RunResult(folder, record, tracked_at(folder))


def _finished(work: RunFolder) -> bool:
    """Return whether the run is finished, after writing what was left to do without training."""
    checkpoint = work.path / "checkpoint"
    if work.recorded() and not work.finished() and not checkpoint.exists():
        write_report(summarise_run(work.path), work.path / "report.html")
        add_checksums(work.path, OUTCOME)
    finished = work.finished()
    if finished and checkpoint.exists():
        add_checksums(work.path, OUTCOME)
        remove_checkpoint(checkpoint)
        work.clean()
    return finished


def _end_tracking(config: RunConfig, folder: Path) -> None:
    """End the tracked run of a finished run, if the store still holds it as running."""
    if not left_open(folder, config.track):
        return
    tracker = make_tracker(config.track, name=_tracked_name(config))
    tags = {"ctrkit.config_sha256": config.sha256(), "ctrkit.run_folder": str(folder.absolute())}
    tracker.start(folder, json.loads(config.canonical_json()), tags)
    tracker.finish("FINISHED", RunRecord.load(folder / "record.json"))


def _tracked_name(config: RunConfig) -> str:
    return f"{config.model.name}-{config.train.seed}"


def _log_warnings(warnings: Sequence[str]) -> None:
    for warning in warnings:
        logger.warning(warning)


@dataclass(frozen=True)
class Training:
    """The training of one model on prepared rows.

    Attributes:
        config: The resolved job.
        dataset: Encoded rows.
        folder: The run folder, which holds the configuration and the encoder already.
        warnings: Warnings for the record.
        started: When the run started, by ``time.perf_counter``.
    """

    config: RunConfig
    dataset: Dataset
    folder: Path
    warnings: tuple[str, ...]
    started: float

    def initial_model(self) -> Model:
        """Build the model with its initial weights and the base rate as its bias."""
        train, shards = self.config.train, self.dataset.shards
        model = build_model(
            self.config.model, self.dataset.layout, seed=train.seed, sparse_from=train.sparse_from
        )
        if train.init is not None and train.init != "random":
            init = Path(train.init)
            check_files(init.parent, [init.name], "name other weights")
            load_weights(model, init)
        model.start_at(shards.positives("train") / shards.rows("train"))
        return model

    @contextmanager
    def tracked(self) -> Iterator[Tracker]:
        """Track the run; end it as killed or failed where the block raises."""
        config = self.config
        tracker = make_tracker(config.track, name=_tracked_name(config))
        tags = {
            "ctrkit.config_sha256": config.sha256(),
            "ctrkit.run_folder": str(self.folder.absolute()),
            "ctrkit.data": self.dataset.info.fingerprint,
            "ctrkit.model": config.model.name,
        }
        tracker.start(self.folder, json.loads(config.canonical_json()), tags)
        try:
            yield tracker
        except (KeyboardInterrupt, Pruned):
            tracker.finish("KILLED")
            raise
        except BaseException:
            tracker.finish("FAILED")
            raise

    def train(
        self,
        model: Model,
        tracker: Tracker,
        progress: Progress | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> RunRecord:
        """Fit the model, evaluate it, and write weights, predictions, record and report."""
        result = fit(
            model,
            self.batches("train"),
            self.config.train,
            evaluate=self.validate,
            callbacks=(_Mirror(tracker), *callbacks),
            folder=self.folder,
            progress=progress,
        )
        save_weights(self.folder, model, self.dataset.layout)
        record = self.record(model, result, self.evaluate(model))
        record.save(self.folder / "record.json")
        write_report(summarise_run(self.folder), self.folder / "report.html")
        add_checksums(self.folder, OUTCOME)
        remove_checkpoint(self.folder / "checkpoint")
        return record

    def batches(self, split: str) -> Batches:
        """Return the batches of a split; those of training are shuffled."""
        train, shards = self.config.train, self.dataset.shards
        if split != "train":
            return Batches(shards, split, train.micro_batch or SCORED_ROWS, shuffle=False)
        return Batches(
            shards,
            split,
            train.batch_size,
            shuffle=True,
            seed=train.seed,
            window=train.shuffle_rows,
        )

    def scores(self, model: Model, split: str) -> Scores:
        """Return a model's logits of a split, with the labels."""
        return score_batches(model, self.batches(split).epoch(0))

    def validate(self, model: Model) -> dict[str, float]:
        """Return the metrics on validation that the training loop watches."""
        metrics = evaluate_scores(self.scores(model, "validation"), intervals=False)
        return {name: metrics[name] for name in ("auc", "logloss", "ne", "calibration")}

    def evaluate(self, model: Model) -> dict[str, dict[str, Any]]:
        """Write the predictions of both held-out splits; return their metrics."""
        metrics = {}
        for split in ("validation", "test"):
            scores = self.scores(model, split)
            save_predictions(self.folder, split, scores)
            metrics[split] = evaluate_scores(scores)
            del scores  # before those of the next split are made
        return metrics

    def record(
        self, model: Model, result: FitResult, metrics: dict[str, dict[str, Any]]
    ) -> RunRecord:
        """Return the record of the finished run."""
        info = self.dataset.info
        return RunRecord(
            metrics=metrics,
            seed=self.config.train.seed,
            data=asdict(info),
            config_sha256=self.config.sha256(),
            versions=versions(),
            timings={
                "encode_rows_s": info.encode_rows_s,
                "train_examples_s": result.examples_s,
                "total_s": time.perf_counter() - self.started,
            },
            parameters=count_parameters(model),
            memory={"peak_bytes": peak_memory()},
            training=result.facts(),
            warnings=list(self.warnings),
        )


class _Mirror(Callback):
    """Passes each evaluation on to the tracker."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    def evaluated(self, context: Context, line: Mapping[str, Any]) -> str | None:
        step, metrics = split_line(line)
        self.tracker.log(step, metrics)
        return None
