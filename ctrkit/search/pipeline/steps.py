"""The steps of a pipeline: each makes a training job out of the one before it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ctrkit.checksums import check_files
from ctrkit.config.sections import Section
from ctrkit.files import copy
from ctrkit.rank import RankOptions
from ctrkit.rank.result import FORMAT as RANKING_FORMAT
from ctrkit.records import Progress
from ctrkit.runs.inputs import JobData
from ctrkit.runs.ranking import run_ranking
from ctrkit.runs.shared import shared_folder
from ctrkit.runs.train import RunResult, run_training
from ctrkit.schema import Schema
from ctrkit.search.base import SearchOptions
from ctrkit.search.kinds import KINDS
from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.search.pipeline.config import PipelineConfig
from ctrkit.search.training import TrainingJob, search_config, with_init
from ctrkit.track.tracker import flatten

LEAKING = {"leaking", "near_copy", "one_class", "within", "future", "target_encoded"}
"""Flags of fields that reveal the label: validation cannot judge a model without them."""
NOT_TUNED = {
    "train.seed",
    "train.device",
    "train.threads",
    "train.init",
    "train.monitor",
    "train.checkpoint_s",
    "train.shuffle_rows",
}
"""Options that are not hyper-parameters: they need no entry in the space when they are set."""


@dataclass(frozen=True)
class StepContext:
    """What every step may use.

    Attributes:
        config: The pipeline's configuration, as the user wrote it.
        data: The rows and their whole schema.
        folder: The pipeline's folder.
        progress: Shows how far training is.
    """

    config: PipelineConfig
    data: JobData
    folder: Path
    progress: Progress | None

    def train(self, job: TrainingJob, run: Path) -> RunResult:
        """Train a job in a run folder."""
        return run_training(job.config, self.data.source, job.schema, run, progress=self.progress)


@dataclass(frozen=True)
class SavedJob:
    """A training job that passes from step to step, and the ``run.toml`` that users find it in."""

    job: TrainingJob
    file: Path


@dataclass(frozen=True)
class StepResult:
    """What a step made.

    Attributes:
        saved: The training job that the next step starts from.
        run: The job, trained.
        models: How many models the step trained.
        decision: What the step decided, in a few words.
        required: Whether the job is used even if validation prefers the model before.
    """

    saved: SavedJob
    run: RunResult
    models: int
    decision: str
    required: bool = False


@dataclass(frozen=True)
class Step:
    """One step: its name, and what it does with the job that the last one made.

    Attributes:
        name: Name of the step and of its folder.
        run: Takes the pipeline's context, the job and the step's folder.
    """

    name: str
    run: Callable[[StepContext, SavedJob, Path], StepResult]


def rank(context: StepContext, saved: SavedJob, folder: Path) -> StepResult:
    """Narrow the schema to the features that carry signal, and train on them."""
    if not (folder / "rank.json").is_file():
        source, schema = context.data.source, context.data.schema
        facts = {
            "ranking": RANKING_FORMAT,
            "schema": schema.to_toml(),
            "source": source.fingerprint(),
        }

        def build(place: Path) -> None:
            run_ranking(
                source.hold(), schema, place, RankOptions(order=2), progress=context.progress
            )

        with shared_folder(context.config.data, facts, build) as ranking:
            copy(ranking, folder)
    kept = Schema.load(folder / "schema.toml")
    dropped = [name for name in context.data.schema.names if name not in kept.names]
    leaks = [name for name in dropped if name in _leaking(folder)]
    narrow = saved.job.narrowed(kept, folder / "schema.toml")
    file = context.folder / "steps" / "rank.toml"
    narrow.save(file, root=context.folder, pairs="rank-pairs.json")
    run = context.train(narrow, context.folder / "steps" / "rank")
    decision = f"dropped {', '.join(dropped)}" if dropped else "kept every field"
    decision += f"; leaking: {', '.join(leaks)}" if leaks else ""
    return StepResult(SavedJob(narrow, file), run, 1, decision, required=bool(leaks))


def _leaking(folder: Path) -> set[str]:
    """Return the fields that a ranking flags as revealing the label."""
    check_files(folder, ["rank.json"], "start the pipeline again with --force")
    ranking = json.loads((folder / "rank.json").read_text(encoding="utf-8"))
    return {row["name"] for row in ranking["features"] if LEAKING & set(row["flags"])}


def features(context: StepContext, saved: SavedJob, folder: Path) -> StepResult:
    """Drop the feature values that are not worth their row."""
    return search("features", context.config.features, context, saved.job, folder)


def interactions(context: StepContext, saved: SavedJob, folder: Path) -> StepResult:
    """Choose an operation for each pair of fields."""
    return search("interactions", context.config.interactions, context, saved.job, folder)


def params(context: StepContext, saved: SavedJob, folder: Path) -> StepResult:
    """Tune the hyper-parameters of what is left."""
    section = tuned_section(context.config)
    return search("params", section, context, with_init(saved.job, "random"), folder)


def train(context: StepContext, saved: SavedJob, folder: Path) -> StepResult:
    """Train the result with the first seed; the other seeds follow."""
    seed = context.config.train.seed
    run = context.train(saved.job.seeded(seed), folder / str(seed))
    return StepResult(saved, run, 1, "result retrained", required=True)


def search(
    kind: str, section: Section, context: StepContext, job: TrainingJob, folder: Path
) -> StepResult:
    """Run a search over a training job.

    Args:
        kind: Name of the kind of search.
        section: Its ``[search]``.
        context: The pipeline.
        job: Where the search starts from.
        folder: The search's folder.
    """
    config = search_config(KINDS[kind].config, job.config, section)
    data = JobData(context.data.source, job.schema, [])
    options = SearchOptions(controls="none", progress=context.progress)
    result = KINDS[kind].job(config, data, folder, options).run()
    record = result.outcome
    return StepResult(
        SavedJob(result.job, folder / "run.toml"),
        result.run,
        record.models,
        record.decision,
        required=record.required,
    )


def tuned_section(config: PipelineConfig) -> ParamsSearchConfig:
    """Return ``[search]`` of the search for hyper-parameters: what the user set is not tuned."""
    section = config.params
    if "free" in section.model_fields_set:
        return section
    asked = dict(flatten(section.space))
    fixed = [f"train.{name}" for name in config.train.model_fields_set]
    fixed += [f"model.{name}" for name in config.model.model_fields_set - {"parameters"}]
    fixed += [
        f"model.{component}.{key}"
        for component, table in config.model.parameters.items()
        for key in table
    ]
    closed = {
        key: False
        for key in sorted(fixed)
        if key not in NOT_TUNED and not any(k == key or k.startswith(f"{key}.") for k in asked)
    }
    return section.model_copy(update={"free": True, "space": {**section.space, **closed}})


STEPS = (
    Step("rank", rank),
    Step("features", features),
    Step("interactions", interactions),
    Step("params", params),
    Step("train", train),
)
"""In order; another step is another entry."""
