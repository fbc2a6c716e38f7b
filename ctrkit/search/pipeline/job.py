"""``search pipeline``: rank, features, interactions, params, train; what each step bought."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Unpack

from ctrkit.config.files import load_config
from ctrkit.config.sections import RunConfig, Section
from ctrkit.data.read.sources import Source
from ctrkit.errors import ConfigError, nearest
from ctrkit.files import copy, write_atomic, write_json
from ctrkit.rank import RankOptions
from ctrkit.rank.result import FORMAT as RANKING
from ctrkit.records import RunRecord
from ctrkit.report import write_report
from ctrkit.runs.inputs import DataOptions, PathLike, open_job
from ctrkit.runs.ranking import run_ranking
from ctrkit.runs.shared import shared_folder
from ctrkit.runs.train import RunResult, run_training
from ctrkit.schema import Schema
from ctrkit.search.base import (
    FORMAT,
    SPLITS,
    Search,
    SearchJob,
    check_repeats,
    copy_over,
    job_text,
    open_search,
    quiet_training,
)
from ctrkit.search.features.job import search_features
from ctrkit.search.interactions.job import search_interactions
from ctrkit.search.params.job import search_params
from ctrkit.search.pipeline.config import PipelineConfig
from ctrkit.search.pipeline.report import summarise_pipeline
from ctrkit.track.tracker import flatten

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """One step: its name, and what it does with the file that the last one left."""

    name: str
    run: Callable[[Pipeline, Path, Path], Outcome]


@dataclass(frozen=True)
class Outcome:
    """What a step left.

    Attributes:
        file: The ``run.toml`` that the next step starts from.
        run: Its trained run.
        models: How many models it trained.
        said: One line about what it decided.
        must: Whether it is taken even where validation prefers the model before it.
    """

    file: Path
    run: Path
    models: int
    said: str
    must: bool = False


def search_pipeline(
    data: PathLike | None = None,
    *,
    model: str | None = None,
    out: PathLike = "search",
    trials: int | None = None,
    jobs: int | None = None,
    skip: Sequence[str] = (),
    seed: int | None = None,
    seeds: int = 1,
    controls: str = "default",
    force: bool = False,
    plugins: Sequence[PathLike] = (),
    progress: Any = None,
    **options: Unpack[DataOptions],
) -> Search:
    """Rank features, select values, choose interactions, search settings, train; compare.

    Every step starts from what the last one left, and is resumed by itself: the same call goes on
    where it was cut. A step is not taken where validation surely (95 %) prefers the model before
    it, unless it drops fields that leak the label, or values to a size that ``features`` asks for.

    Args:
        data: As of :func:`ctrkit.jobs.train`; or a ``pipeline.toml``, whose tables ``features``,
            ``interactions`` and ``params`` are the ``[search]`` of the steps.
        model: A preset, or a registered interaction alone.
        out: The search folder.
        trials: ``params.trials``.
        jobs: ``params.jobs``: worker processes.
        skip: Steps to leave out: ``rank``, ``features``, ``interactions``, ``params``.
        seed: Of weights and batches.
        seeds: How often the last model and the plain one are trained.
        controls: ``default``: the plain model, searched with as many trials as the steps trained
            models; ``none``.
        force: Replace the search in ``out``.
        plugins: Python files that register components.
        progress: Object with ``update(stage, done, total, text)``.
        **options: See :class:`~ctrkit.runs.inputs.DataOptions`.

    Raises:
        ConfigError: An option is unknown or out of bounds.
        RunFolderError: ``out`` holds another search, or files of none.
    """
    skippable = [step.name for step in STEPS if step.name != "train"]
    for name in skip:
        if name not in skippable:
            known = ", ".join(skippable)
            raise ConfigError(f"no step {name!r} to skip{nearest(name, skippable)}: {known}")
    check_repeats(controls, ("default", "none"), seeds)
    config, source, schema, warnings = open_search(
        data,
        options,
        PipelineConfig,
        model=model,
        seed=seed,
        plugins=plugins,
        more={"params.trials": trials, "params.jobs": jobs},
    )
    steps = [step for step in STEPS if step.name not in skip]
    job = Pipeline(config, source, schema, Path(out).absolute(), steps, seeds, warnings, progress)
    job.claim(force)
    return job.run(controls)


class Pipeline(SearchJob):
    """The steps of one pipeline, in a folder of its own."""

    config: PipelineConfig
    top: ClassVar = ("run.toml", "schema.toml", "encoder", "pairs.json", "init.safetensors", "run")
    parts: ClassVar = (
        "plain.toml",
        "plain-pairs.json",
        "steps",
        "before",
        "rank",
        "features",
        "interactions",
        "params",
        "train",
        "plain",
    )

    def __init__(
        self,
        config: PipelineConfig,
        source: Source,
        schema: Schema,
        folder: Path,
        steps: Sequence[Step],
        seeds: int,
        warnings: Sequence[str] = (),
        progress: Any = None,
    ) -> None:
        """Settle the configuration; ``given`` is as the user wrote it."""
        super().__init__(config, source, schema, folder, warnings, progress)
        self.given, self.steps, self.seeds = config, list(steps), seeds

    def identity(self) -> dict[str, Any]:
        """Return what makes a pipeline the same one."""
        return {**super().identity(), "steps": [step.name for step in self.steps]}

    # ---- the steps

    def run(self, controls: str) -> Search:
        """Take the steps, then the plain model's share of trials, and report."""
        self.load()
        file = self._plain_file()
        rows = [self._before(file)]
        best = rows[0]
        for step in self.steps:
            rows.append(row := self._take(step, file))
            row["taken"] = row["must"] or not self.prefers(best, row)
            if row["taken"]:
                best, file = row, self.folder / row["file"]
            else:
                logger.info("step %s is not taken: validation prefers the model before", step.name)
        members = {"pipeline": self._seeded("train", file)}
        if controls == "default":
            rows.append(self._plain(sum(row["models"] for row in rows[1:])))
            members["plain"] = self._seeded("plain/seeds", self.folder / rows[-1]["file"])
            if self.prefers(rows[-1], best):
                self.warn(
                    "validation prefers the plain model, searched with as many trials: "
                    f"{rows[-1]['file']} trains it"
                )
        self._adopt(file)
        record = self._record(rows, members)
        write_json(self.folder / "record.json", record)
        write_report(summarise_pipeline(record), self.folder / "report.html")
        return self.finished(record)

    def _plain_file(self) -> Path:
        """Write the training job as it was given."""
        self.schema.save(self.folder / "schema.toml")
        data = self.given.model_dump(
            mode="json", by_alias=True, exclude_unset=True, include=set(RunConfig.model_fields)
        )
        plain = RunConfig.model_validate(data)
        path = str(Path(str(plain.data.path)).absolute()) if plain.data.path else None
        path = plain.data.path if path and "://" in str(plain.data.path) else path
        update = {"schema_path": str(self.folder / "schema.toml"), "path": path}
        plain = plain.model_copy(update={"data": plain.data.model_copy(update=update)})
        text = job_text(plain, self.folder / "plain-pairs.json")
        file = self.folder / "plain.toml"
        write_atomic(file, text)
        return file

    def _before(self, file: Path) -> dict[str, Any]:
        return self._kept("before", lambda: self._trained(file, "before", "as given"))

    def _take(self, step: Step, file: Path) -> dict[str, Any]:
        return self._kept(step.name, lambda: step.run(self, file, self.folder / step.name))

    def _plain(self, trials: int) -> dict[str, Any]:
        """Search the plain model's settings with as many trials as the steps trained models."""

        def take() -> Outcome:
            folder = self.folder / "plain"
            more = [*self._params_settings(), f"search.trials={max(1, trials)}"]
            found = search_params(
                self.folder / "plain.toml",
                out=folder / "search",
                set=more,
                controls="none",
                progress=self.progress,
            )
            return Outcome(
                folder / "search" / "run.toml",
                found.run.folder,
                max(1, trials),
                f"{trials} trials on the model as given",
            )

        return self._kept("plain", take)

    def _kept(self, name: str, take: Callable[[], Outcome]) -> dict[str, Any]:
        """Return a finished step's row; take the step where there is none."""
        path = self.folder / "steps" / f"{name}.json"
        if path.is_file():
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
        logger.info("step %s", name)
        clock = path.with_suffix(".seconds")
        path.parent.mkdir(exist_ok=True)
        before = float(clock.read_text()) if clock.is_file() else 0.0
        started = time.monotonic()
        try:
            outcome = take()
        finally:  # a step that was cut counts all its parts
            seconds = before + time.monotonic() - started
            write_atomic(clock, str(seconds))
        row = {
            **self._figures(outcome.run),
            "step": name,
            "models": outcome.models,
            "seconds": seconds,
            "said": outcome.said,
            "must": outcome.must,
            "file": str(outcome.file.relative_to(self.folder)),
        }
        write_json(path, row)
        return row

    def _figures(self, run: Path) -> dict[str, Any]:
        record = RunRecord.load(run / "record.json")
        return {
            "folder": str(run.relative_to(self.folder)),
            "seed": record.seed,
            "parameters": record.parameters["allocated"],
            "bytes": (run / "model.safetensors").stat().st_size,
            **{s: {k: record.metrics[s][k] for k in ("auc", "logloss")} for s in SPLITS},
        }

    def _trained(self, file: Path, place: str, said: str) -> Outcome:
        run = self._train(file, self.folder / place, None)
        return Outcome(file, run.folder, 1, said)

    def _train(self, file: Path, place: Path, seed: int | None) -> RunResult:
        config: RunConfig = load_config(file, flags={"train.seed": seed})
        rows = open_job(config.data, {})
        return run_training(
            config, rows.source, rows.schema, place, warnings=rows.warnings, progress=self.progress
        )

    def _seeded(self, place: str, file: Path) -> list[dict[str, Any]]:
        """Train a file with every seed."""
        with quiet_training():
            return [
                self._figures(self._train(file, self.folder / place / str(seed), seed).folder)
                for seed in (self.first, *self.seeds_from(self.seeds))
            ]

    def settings(self, section: Section) -> list[str]:
        """Return a step's ``[search]``, as far as the user set it, as texts of ``--set``."""
        data = section.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        return [f"search.{key}={json.dumps(value)}" for key, value in flatten(data)]

    def _params_settings(self) -> list[str]:
        """Return the settings of the search for settings: what the user set is not searched."""
        found = [*self.settings(self.given.params), "train.init=random"]
        if "free" not in self.given.params.model_fields_set:
            found.append("search.free=true")
            space = dict(flatten(self.given.params.space))
            fixed = [f"train.{n}" for n in self.given.train.model_fields_set]
            fixed += [f"model.{n}" for n in self.given.model.model_fields_set - {"parameters"}]
            fixed += [
                f"model.{owner}.{key}"
                for owner, table in self.given.model.parameters.items()
                for key in table
            ]
            free = (
                "train.seed",
                "train.device",
                "train.threads",
                "train.init",
                "train.monitor",
                "train.checkpoint_s",
                "train.shuffle_rows",
            )
            found += [
                f"search.space.{key}=false"
                for key in fixed
                if key not in free and not any(k == key or k.startswith(f"{key}.") for k in space)
            ]
        return found

    # ---- the end

    def _adopt(self, file: Path) -> None:
        """Put the last model on top of the folder, as the training job that makes it."""
        config: RunConfig = load_config(file)
        data, text = config.data, file.read_text(encoding="utf-8")
        for key, found in (("schema", data.schema_path), ("encoder", data.encoder)):
            if found is not None:
                name = "schema.toml" if key == "schema" else key
                copy_over(Path(found), self.folder / name)
                text = re.sub(rf"(?m)^{key} = .*$", f'{key} = "{name}"', text)
        for name in ("pairs.json", "init.safetensors"):
            copy_over(file.parent / name, self.folder / name)
        write_atomic(self.folder / "run.toml", text)
        copy_over(self.folder / "train" / str(self.first), self.folder / "run")
        self.restate()

    def _record(
        self, rows: list[dict[str, Any]], members: dict[str, list[dict[str, Any]]]
    ) -> dict[str, Any]:
        against = {row["step"]: self.tested(rows[0], row) for row in rows[1:]}
        return {
            "format": FORMAT,
            "kind": "pipeline",
            "model": self.config.model.name,
            "config_sha256": self.config.sha256(),
            "steps": rows,
            "against_before": against,
            "rows": members,
            "paired": self.paired("pipeline", members),
            "warnings": self.warnings,
        }


def _rank(job: Pipeline, file: Path, folder: Path) -> Outcome:
    """Narrow the schema to the features that carry signal, and train on them."""
    if not (folder / "rank.json").is_file():
        facts = {
            "ranking": RANKING,
            "schema": job.schema.to_toml(),
            "source": job.source.fingerprint(),
        }

        def build(place: Path) -> None:
            run_ranking(
                job.source.hold(), job.schema, place, RankOptions(order=2), progress=job.progress
            )

        with shared_folder(job.config.data, facts, build) as ranking:
            copy(ranking, folder)
    kept = Schema.load(folder / "schema.toml")
    dropped = [n for n in job.schema.names if n not in kept.names]
    text = file.read_text(encoding="utf-8")
    whole = str(job.folder / "schema.toml")
    narrow = folder.parent / "steps" / "rank.toml"
    narrowed = text.replace(json.dumps(whole), json.dumps(str(folder / "schema.toml")))
    write_atomic(narrow, narrowed)
    said = f"dropped {', '.join(dropped)}" if dropped else "kept every field"
    leaks = [n for n in dropped if n in _leaking(folder)]
    said += f"; leaking: {', '.join(leaks)}" if leaks else ""
    return replace(job._trained(narrow, "steps/rank", said), must=bool(leaks))


def _leaking(folder: Path) -> set[str]:
    """Return the fields that a ranking found to know the label: no validation can judge them."""
    leaks = {"leaking", "near_copy"}
    ranking = json.loads((folder / "rank.json").read_text(encoding="utf-8"))
    return {row["name"] for row in ranking["features"] if leaks & set(row["flags"])}


def _features(job: Pipeline, file: Path, folder: Path) -> Outcome:
    """Drop the values that do not earn their row."""
    found = search_features(
        file,
        out=folder,
        controls="none",
        progress=job.progress,
        set=job.settings(job.given.features),
    )
    best = found.record["rows"]["optfs"][0]
    said = f"kept {best['kept']:,} of {best['values']:,} values"
    tried = 2 * len(found.record["candidates"])
    asked = bool({"target_ratio", "penalty", "preset"} & job.given.features.model_fields_set)
    return Outcome(folder / "run.toml", found.run.folder, tried, said, must=asked)


def _interactions(job: Pipeline, file: Path, folder: Path) -> Outcome:
    """Choose an operation for each pair."""
    found = search_interactions(
        file,
        out=folder,
        controls="none",
        progress=job.progress,
        set=job.settings(job.given.interactions),
    )
    pairs = json.loads((folder / "pairs.json").read_text(encoding="utf-8"))["pairs"]
    ops = [pair["op"] for pair in pairs]
    said = ", ".join(f"{ops.count(op)} {op}" for op in ("memorize", "factorize", "naive"))
    return Outcome(folder / "run.toml", found.run.folder, 2, said)


def _params(job: Pipeline, file: Path, folder: Path) -> Outcome:
    """Search the settings of what is left."""
    found = search_params(
        file, out=folder, controls="none", set=job._params_settings(), progress=job.progress
    )
    counts = found.record["counts"]
    ended = sum(counts[k] for k in ("complete", "pruned", "fail"))
    said = f"trial {found.record['winner']['trial']} of {ended}"
    return Outcome(folder / "run.toml", found.run.folder, ended, said)


def _train(job: Pipeline, file: Path, folder: Path) -> Outcome:
    """Train the outcome; the other seeds follow."""
    run = job._train(file, folder / str(job.first), job.first)
    return Outcome(file, run.folder, 1, "the outcome, trained", must=True)


STEPS = (
    Step("rank", _rank),
    Step("features", _features),
    Step("interactions", _interactions),
    Step("params", _params),
    Step("train", _train),
)
"""In order; another step is another entry."""
