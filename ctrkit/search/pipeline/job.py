"""``search pipeline``: rank, features, interactions, params, train; what each step changed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from ctrkit.checksums import found_damaged, rewriting
from ctrkit.config.sections import WHOLE, RunConfig
from ctrkit.errors import ConfigError, nearest
from ctrkit.files import copy, inside, write_atomic, write_json
from ctrkit.runs.inputs import JobData
from ctrkit.runs.train import RunResult
from ctrkit.search import compare
from ctrkit.search.base import (
    DEFAULTS,
    Search,
    SearchJob,
    SearchOptions,
    quiet_training,
)
from ctrkit.search.outcome import Outcome
from ctrkit.search.pipeline.config import PipelineConfig
from ctrkit.search.pipeline.outcome import (
    BEFORE,
    OURS,
    PLAIN,
    PipelineRecord,
    StepOutcome,
)
from ctrkit.search.pipeline.report import summarise_pipeline
from ctrkit.search.pipeline.steps import (
    STEPS,
    SavedJob,
    StepContext,
    StepResult,
    search,
    tuned_section,
)
from ctrkit.search.training import TrainingJob, with_init, with_paths

logger = logging.getLogger(__name__)


class Pipeline(SearchJob):
    """The steps of one pipeline, each resumable by itself, in one folder."""

    config: PipelineConfig
    top: ClassVar = ("run.toml", "schema.toml", "encoder", "pairs.json", "init.safetensors", "run")
    parts: ClassVar = (
        "plain.toml",
        "plain-schema.toml",
        "plain-pairs.json",
        "steps",
        BEFORE,
        "rank",
        "features",
        "interactions",
        "params",
        "train",
        PLAIN,
    )

    def __init__(
        self,
        config: PipelineConfig,
        data: JobData,
        folder: Path,
        options: SearchOptions = DEFAULTS,
        skip: Sequence[str] = (),
    ) -> None:
        """Choose the steps; see :class:`SearchJob`.

        Args:
            config: A training job and the ``[search]`` of each step.
            data: The rows.
            folder: The search folder.
            options: How the search is run.
            skip: Names of steps to leave out; ``train`` is always run.

        Raises:
            ConfigError: ``skip`` names an unknown step.
        """
        skippable = [step.name for step in STEPS if step.name != "train"]
        for name in skip:
            if name not in skippable:
                raise ConfigError(
                    f"there is no step {name!r} to skip{nearest(name, skippable)}; "
                    f"expected {', '.join(skippable)}"
                )
        super().__init__(config, data, folder.absolute(), options)
        self.steps = [step for step in STEPS if step.name not in skip]
        self.context = StepContext(config, data, self.folder, options.progress)

    def identity(self) -> dict[str, object]:
        """Return what makes a pipeline the same one: its steps, too."""
        return {**super().identity(), "steps": [step.name for step in self.steps]}

    def _execute(self) -> Search:
        """Run the steps, tune the plain model with as many trials, report."""
        self.claim()
        self.open()
        plain = self._plain_job()
        before, saved = self._kept(BEFORE, lambda: self._before(plain))
        rows, best = [before], before
        for step in self.steps:
            take = partial(step.run, self.context, saved, self.folder / step.name)
            row, made = self._kept(step.name, take)
            row = replace(row, taken=row.must or not compare.prefers(self.folder, best, row))
            rows.append(row)
            if row.used:
                best, saved = row, made
            else:
                logger.info(
                    "step %s: result not used, validation is significantly better without it "
                    "(95 %% CI)",
                    step.name,
                )
        members = {OURS: self._seeded("train", saved.job)}
        if self.options.controls == "default":
            trials = sum(row.models for row in rows[1:])
            row, tuned = self._kept(PLAIN, lambda: self._tune(plain, trials))
            rows.append(row)
            members[PLAIN] = self._seeded("plain/seeds", tuned.job)
            advice = f"{row.file} trains it again"
            self.warn_if_better("the plain model, tuned with as many trials,", row, best, advice)
        job = self._adopt(saved.job)
        record = self._record(rows, members)
        return self.finish(record, summarise_pipeline(record), job)

    # ---- the steps

    def _plain_job(self) -> SavedJob:
        """Write the training job as the user configured it, without the searches."""
        given = self.context.config
        data = given.model_dump(
            mode="json",
            by_alias=True,
            exclude_unset=True,
            include=set(RunConfig.model_fields),
            context=WHOLE,
        )
        config = with_paths(RunConfig.model_validate(data), _absolute)
        paths = {"schema_path": self.path("plain-schema.toml")}
        if config.data.path is not None:
            paths["path"] = _absolute(config.data.path)
        config = config.model_copy(update={"data": config.data.model_copy(update=paths)})
        job, file = TrainingJob(config, self.schema), self.folder / "plain.toml"
        job.save(file, pairs="plain-pairs.json")
        return SavedJob(job, file)

    def _before(self, plain: SavedJob) -> StepResult:
        run = self.context.train(plain.job, self.folder / BEFORE)
        return StepResult(plain, run, 1, "as configured")

    def _tune(self, plain: SavedJob, trials: int) -> StepResult:
        """Tune the plain model with as many trials as the steps trained models."""
        count = max(1, trials)
        section = tuned_section(self.context.config).model_copy(update={"trials": count})
        job = with_init(plain.job, "random")
        result = search("params", section, self.context, job, self.folder / PLAIN / "search")
        decision = f"{trials} trials on the model as configured"
        return replace(result, models=count, decision=decision)

    def _kept(self, name: str, take: Callable[[], StepResult]) -> tuple[StepOutcome, SavedJob]:
        """Return a finished step's outcome and job; run the step if it is not finished."""
        path = self.folder / "steps" / f"{name}.json"
        if path.is_file() and not found_damaged(path.parent, [path.name]):
            row = StepOutcome.from_json(json.loads(path.read_text(encoding="utf-8")))
            file = inside(self.folder, row.file, path)
            inside(self.folder, row.folder, path)
            return row, SavedJob(TrainingJob.load(file, self.context.config, self.folder), file)
        logger.info("step %s", name)
        clock = path.with_suffix(".seconds")
        path.parent.mkdir(exist_ok=True)
        before = float(clock.read_text(encoding="utf-8")) if clock.is_file() else 0.0
        started = time.monotonic()
        try:
            result = take()
        finally:  # a step that is interrupted and resumed counts the time of all its parts
            seconds = before + time.monotonic() - started
            write_atomic(clock, str(seconds))
        row = StepOutcome.of(
            result.run,
            self.folder,
            step=name,
            models=result.models,
            seconds=seconds,
            said=result.decision,
            must=result.required,
            file=str(result.saved.file.relative_to(self.folder)),
        )
        with rewriting(path.parent, path.name, create=True):
            write_json(path, row.to_json())
        return row, result.saved

    def _seeded(self, place: str, job: TrainingJob) -> list[Outcome]:
        """Train a job with every seed."""
        with quiet_training():
            return [
                Outcome.of(self._run(job.seeded(seed), place, seed), self.folder)
                for seed in self.seeds
            ]

    def _run(self, job: TrainingJob, place: str, seed: int) -> RunResult:
        return self.context.train(job, self.folder / place / str(seed))

    # ---- the end

    def _adopt(self, job: TrainingJob) -> TrainingJob:
        """Copy the last model to the top of the folder, with the job that trains it again."""
        config, names = job.config, {}
        for path, name in (
            (config.data.schema_path, "schema.toml"),
            (config.data.encoder, "encoder"),
            (config.train.init, "init.safetensors"),
        ):
            if path is not None and path != "random":
                names[path] = self.path(name)
                if Path(path).exists():
                    copy(Path(path), self.folder / name)
        top = replace(job, config=with_paths(config, lambda path: names[path]))
        top.save(self.folder / "run.toml")
        copy(self.folder / "train" / str(self.first), self.folder / "run")
        self.restate(top.config)
        return top

    def _record(
        self, rows: Sequence[StepOutcome], members: dict[str, list[Outcome]]
    ) -> PipelineRecord:
        return PipelineRecord(
            model=self.config.model.name,
            config_sha256=self.config.sha256(),
            steps=rows,
            against_before={
                row.step: compare.paired_test(self.folder, rows[0], row) for row in rows[1:]
            },
            rows=members,
            paired=compare.paired_tests(self.folder, OURS, members),
            warnings=self.warnings,
        )


def _absolute(path: str) -> str:
    return path if "://" in path else str(Path(path).absolute())
