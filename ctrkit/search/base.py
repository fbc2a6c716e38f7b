"""What every search shares: its folder, its data, the models it trains, and its result."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ctrkit.checksums import add_checksums, rewriting
from ctrkit.config.sections import ModelConfig, RunConfig, TrainConfig
from ctrkit.data.store.batches import Batches
from ctrkit.data.store.dataset import Dataset
from ctrkit.errors import ConfigError
from ctrkit.evaluate import evaluate_scores, score_batches
from ctrkit.files import copy, write_atomic, write_json
from ctrkit.models.build import build_model
from ctrkit.models.model import Model
from ctrkit.records import Progress, RunRecord
from ctrkit.report import write_report
from ctrkit.report.summary import Summary
from ctrkit.runs.folder import SearchFolder
from ctrkit.runs.inputs import JobData
from ctrkit.runs.lock import folder_lock
from ctrkit.runs.prepare import load_dataset, resolve
from ctrkit.runs.train import RunResult, run_training
from ctrkit.search.compare import better_control
from ctrkit.search.outcome import FORMAT, Outcome, SearchRecord
from ctrkit.search.training import TrainingJob, resolved
from ctrkit.train import pick_device

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchOptions:
    """How a search is run; the options are not part of what makes it the same search.

    Attributes:
        seeds: How often the result and its controls are trained.
        controls: Which controls are trained: a name that the search knows.
        force: Whether another search in the folder is overwritten.
        progress: Shows how far training is.
    """

    seeds: int = 1
    controls: str = "default"
    force: bool = False
    progress: Progress | None = None


DEFAULTS = SearchOptions()


@dataclass(frozen=True)
class Search:
    """A finished search.

    Attributes:
        folder: The search folder; ``run.toml`` in it trains the winner again.
        outcome: The record, typed.
        run: The winner, retrained.
        job: The training job in ``run.toml``.
    """

    folder: Path
    outcome: SearchRecord
    run: RunResult
    job: TrainingJob

    @cached_property
    def record(self) -> dict[str, Any]:
        """What ``record.json`` holds."""
        return self.outcome.to_json()


class SearchJob(ABC):
    """A search over training runs, in its own folder.

    A subclass declares in ``top`` which files of the winner are copied to the top of the folder,
    in ``parts`` what else may be in the folder, and in ``known_controls`` the names that
    ``controls`` may have.
    """

    top: ClassVar[tuple[str, ...]] = ("run.toml", "schema.toml", "run")
    parts: ClassVar[tuple[str, ...]] = ()
    known_controls: ClassVar[Iterable[str]] = ("default", "none")
    shared: ClassVar[bool] = False
    """Whether several processes may work in the folder at once."""

    def __init__(
        self,
        config: RunConfig,
        data: JobData,
        folder: Path,
        options: SearchOptions = DEFAULTS,
    ) -> None:
        """Resolve the configuration; nothing is read or written yet.

        Args:
            config: A training job and ``[search]``.
            data: The rows.
            folder: The search folder.
            options: How the search is run.

        Raises:
            ConfigError: An option is unknown or out of bounds.
        """
        if options.controls not in self.known_controls:
            known = ", ".join(self.known_controls)
            raise ConfigError(f"controls must be one of {known}; got {options.controls!r}")
        if options.seeds < 1:
            raise ConfigError(f"seeds must be at least 1; got {options.seeds}")
        pick_device(config.train.device)
        self.config = resolved(config)
        self.source, self.schema = data.source, data.schema
        self.folder, self.options, self.progress = folder, options, options.progress
        self.warnings = list(data.warnings)

    # ---- the folder

    def identity(self) -> dict[str, object]:
        """Return what makes a search the same search when its command is run again."""
        return {
            "format": FORMAT,
            "config_sha256": self.config.sha256(),
            "schema": self.schema.to_toml(),
            "source": self.source.fingerprint(),
        }

    @cached_property
    def workspace(self) -> SearchFolder:
        """The search folder, with the identity of the search."""
        return SearchFolder(self.folder, self.identity(), (*self.top, *self.parts))

    def claim(self) -> None:
        """Check that the search may use its folder; change nothing.

        Raises:
            RunFolderError: The folder holds another search, or files that belong to no search.
        """
        self.workspace.claim(force=self.options.force)

    def open(self) -> None:
        """Encode the rows or find them in the cache; then make the folder ready to be written."""
        for warning in self.warnings:
            logger.warning(warning)
        _ = self.data  # a mistake in the data must leave the folder as it is
        self.open_folder()

    def open_folder(self) -> None:
        """Make the folder ready to be written; call :meth:`claim` first."""
        self.workspace.open(force=self.options.force)
        if not self.shared:
            self.workspace.clean()

    @cached_property
    def data(self) -> Dataset:
        """The encoded rows."""
        return load_dataset(self.config, self.source, self.schema, self.progress)

    # ---- the search

    def run(self) -> Search:
        """Search, train the winner and the controls, report; resume what was interrupted.

        Raises:
            RunFolderError: The folder holds another search, or files that belong to no search, or
                another process searches in it.
        """
        with nullcontext() if self.shared else folder_lock(self.folder):
            return self._execute()

    @abstractmethod
    def _execute(self) -> Search:
        """Search as :meth:`run` describes; the folder is locked."""

    @property
    def first(self) -> int:
        """The first seed."""
        return self.config.train.seed

    @property
    def seeds(self) -> list[int]:
        """All seeds in order; the first one is that of ``[train]``."""
        return list(range(self.first, self.first + self.options.seeds))

    def path(self, name: str) -> str:
        """Return the absolute path of a file in the folder, as configurations hold it."""
        return str((self.folder / name).absolute())

    def warn(self, message: str) -> None:
        """Log a warning once and keep it for the record."""
        if message not in self.warnings:
            logger.warning(message)
            self.warnings.append(message)

    def warn_if_better(self, name: str, control: Outcome, ours: Outcome, advice: str = "") -> None:
        """Warn if validation significantly prefers a control to the search's result."""
        message = better_control(self.folder, name, control, ours, advice)
        if message is not None:
            self.warn(message)

    def model(self, seed: int, config: ModelConfig | None = None, ops: Sequence[str] = ()) -> Model:
        """Build an untrained model.

        Args:
            seed: Seed of its weights.
            config: What to build; None: ``[model]``.
            ops: Operations of its pairs, in place of the configured ones.
        """
        model = build_model(
            config or self.config.model,
            self.data.layout,
            seed=seed,
            sparse_from=self.config.train.sparse_from,
            ops=ops,
        )
        shards = self.data.shards
        model.start_at(shards.positives("train") / shards.rows("train"))
        return model

    def train_config(self, seed: int) -> TrainConfig:
        """Return ``[train]`` with a seed."""
        return self.config.train.model_copy(update={"seed": seed})

    def validation(self, train: TrainConfig) -> Callable[[Model], dict[str, float]]:
        """Return a function that evaluates a model on the validation rows."""

        def validate(model: Model) -> dict[str, float]:
            held = Batches(self.data.shards, "validation", train.micro_batch or 4096, shuffle=False)
            metrics = evaluate_scores(score_batches(model, held.epoch(0)), intervals=False)
            return {name: metrics[name] for name in ("auc", "logloss")}

        return validate

    def train(self, job: TrainingJob, run: Path) -> RunResult:
        """Train a job in a run folder as ``ctrkit train`` does."""
        return run_training(job.config, self.source, job.schema, run, progress=self.progress)

    # ---- the end

    def adopt(self, winner: Path, job: TrainingJob) -> TrainingJob:
        """Copy the winner to the top of the folder; return its job there."""
        for name in self.top:
            if (winner / name).exists():
                copy(winner / name, self.folder / name)
        moved = job.moved(winner, self.folder)
        self.restate(moved.config)
        return moved

    def restate(self, config: RunConfig) -> RunResult:
        """Make the run at the top of the folder state that it came from the ``run.toml`` there."""
        config = resolve(config)
        run = self.folder / "run"
        record = RunRecord.load(run / "record.json")
        with rewriting(run, "config.json", "record.json"):
            write_atomic(run / "config.json", config.canonical_json() + "\n")
            replace(record, config_sha256=config.sha256()).save(run / "record.json")
        return RunResult.load(run)

    def finish(self, record: SearchRecord, summary: Summary, job: TrainingJob) -> Search:
        """Write the record and the report; return the search with the run on top."""
        write_json(self.folder / "record.json", record.to_json())
        write_report(summary, self.folder / "report.html")
        add_checksums(self.folder, SearchFolder.CHECKED, create=True)
        return Search(self.folder, record, RunResult.load(self.folder / "run"), job)


@contextmanager
def quiet_training() -> Iterator[None]:
    """Hide the log lines of single trainings, which their folders hold; keep warnings."""
    loggers = [logging.getLogger(name) for name in ("ctrkit.train", "ctrkit.runs")]
    levels = [quiet.level for quiet in loggers]
    for quiet in loggers:
        quiet.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for quiet, level in zip(loggers, levels, strict=True):
            quiet.setLevel(level)
