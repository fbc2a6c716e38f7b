"""The end of a search for hyper-parameters: the winner retrained, compared and reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ctrkit.config.sections import RunConfig
from ctrkit.errors import CtrkitError
from ctrkit.files import atomic_path, copy, remove, remove_abandoned
from ctrkit.runs.train import RunResult
from ctrkit.search import compare
from ctrkit.search.base import Search, SearchJob
from ctrkit.search.params.config import ParamsConfig
from ctrkit.search.params.history import trials_frame
from ctrkit.search.params.identity import storage_url
from ctrkit.search.params.outcome import BEFORE, OURS, Member, ParamsOutcome, ParamsRecord
from ctrkit.search.params.pareto import best_of, front, importances
from ctrkit.search.params.report import summarise_params_search
from ctrkit.search.params.runner import TrialRunner
from ctrkit.search.params.study import Trials
from ctrkit.search.params.trial import COMPLETE, FAIL, PRUNED, Attempt
from ctrkit.search.training import TrainingJob, seeded
from ctrkit.secrets import redact_address
from ctrkit.track import tracked_below

DECISIONS = (
    "run.toml",
    "schema.toml",
    "encoder",
    "init.safetensors",
    "features.parquet",
    "pairs.json",
    "run",
)
"""Parts of an inner search's folder that are copied to the top of the folder if it wins."""


class Conclusion:
    """What is done after the last trial of a study.

    Args:
        job: The search.
        given: Its configuration as given, with absolute paths.
        runner: Trains configurations in the search folder.
        trials: The study.
    """

    def __init__(
        self, job: SearchJob, given: ParamsConfig, runner: TrialRunner, trials: Trials
    ) -> None:
        self.job, self.given, self.runner, self.trials = job, given, runner, trials
        self.folder, self.search, self.space = job.folder, given.search, runner.space

    def write(self, seconds: float) -> Search:
        """Write the winner, the files of the Pareto set, the record and the report.

        Args:
            seconds: Duration of the search.

        Raises:
            CtrkitError: No trial is complete.
        """
        finished = list(self.trials.finished().values())
        self._clean(finished)
        frame = trials_frame(self.trials, self.search.objectives)
        with atomic_path(self.folder / "trials.parquet") as temporary:
            frame.write_parquet(temporary)
        best = best_of(finished, self.search.objectives)
        if best is None:
            raise CtrkitError(_no_winner(finished))
        config = self.runner.config(self.space.point(best.params), best.slot)
        job = self._retrain(config, best.slot)
        rows = self._rows(config)
        if BEFORE in rows and self.search.objectives[0] == "logloss":
            self.job.warn_if_better(
                "the configuration before the search", rows[BEFORE][0], rows[OURS][0]
            )
        members = front(finished, self.search.objectives)
        if len(self.search.objectives) > 1 and self.search.over == "params":
            self._write_pareto_set(members)
        record = self._record(seconds, best, members, rows)
        return self.job.finish(record, summarise_params_search(record, frame), job)

    def _clean(self, finished: Sequence[Attempt]) -> None:
        """Remove what processes that were killed while they removed parts of trials left."""
        remove_abandoned(self.folder)
        for attempt in finished:
            place = self.runner.place(attempt.slot)
            for folder in (place, place / "run"):
                if folder.is_dir():
                    remove_abandoned(folder)

    # ---- the winner

    def _retrain(self, config: RunConfig, slot: int) -> TrainingJob:
        """Write the winner's ``run.toml`` and its run; train again what is not there."""
        place, run = self.runner.place(slot), self.folder / "run"
        if type(config) is not RunConfig:
            if not (place / "run" / "model.safetensors").is_file():
                self.runner.make(config, place)
            for name in DECISIONS:
                if (place / name).exists():
                    copy(place / name, self.folder / name)
            job = TrainingJob.load(self.folder / "run.toml", self.given, self.folder)
        else:
            job = self._training_job(config)
            job.save(self.folder / "run.toml")
            if not self.runner.holds(run, job.config) or not (run / "record.json").is_file():
                remove(run)
                if (place / "model.safetensors").is_file():
                    copy(place, run)
        if (run / "report.html").is_file():
            self.job.restate(job.config)
        else:
            self.job.train(job, run)
        return job

    def _training_job(self, config: RunConfig) -> TrainingJob:
        """Return the job that trains a trial's configuration, independent of the search."""
        data = config.data.model_copy(update={"schema_path": self.job.path("schema.toml")})
        track = config.track.model_copy(update={"run_name": self.given.track.run_name})
        update = {"data": data, "track": track}
        return TrainingJob(config.model_copy(update=update), self.job.schema)

    def _write_pareto_set(self, members: Sequence[Attempt]) -> None:
        """Write a file for each member of the Pareto set that trains it again."""
        folder = self.folder / "pareto"
        remove(folder)
        folder.mkdir()
        for member in members:
            config = self.runner.config(self.space.point(member.params), member.slot)
            path = folder / f"{member.slot:04d}.toml"
            self._training_job(config).save(path, root=self.folder, pairs="../pairs.json")

    # ---- the comparison

    def _rows(self, config: RunConfig) -> dict[str, list[ParamsOutcome]]:
        """Train the winner with further seeds, and the initial configuration with all seeds."""
        seeds = self.job.seeds
        ours = {seeds[0]: self._outcome(self.folder / "run")}
        ours |= self._train_seeds(config, "seeds", seeds[1:])
        if self.job.options.controls == "none":
            return {OURS: list(ours.values())}
        before = self._train_seeds(self.runner.config({}), "controls", list(ours))
        both = [seed for seed in ours if seed in before]
        if not both:
            return {OURS: list(ours.values())}
        return {OURS: [ours[seed] for seed in both], BEFORE: [before[seed] for seed in both]}

    def _train_seeds(
        self, config: RunConfig, role: str, seeds: Sequence[int]
    ) -> dict[int, ParamsOutcome]:
        """Train a configuration with seeds; warn about those that fail and leave them out.

        Args:
            config: The configuration.
            role: Subfolder of the runs, and their role in tracking.
            seeds: The seeds.
        """
        outcomes = {}
        for seed in seeds:
            name = f"{self.given.track.run_name or self.folder.name}-{role}-{seed}"
            track = config.track.model_copy(update={"run_name": name})
            variant = seeded(config, seed).model_copy(update={"track": track})
            try:
                with tracked_below(self.folder, role=role):
                    run = self.runner.make(variant, self.folder / role / str(seed))
            except CtrkitError as error:
                self.job.warn(f"{role}, seed {seed}: {error}")
            else:
                outcomes[seed] = self._outcome(run)
        return outcomes

    def _outcome(self, run: Path) -> ParamsOutcome:
        result = RunResult.load(run)
        return ParamsOutcome.of(result, self.folder, seconds=result.record.timings["total_s"])

    # ---- the record

    def _record(
        self,
        seconds: float,
        best: Attempt,
        members: Sequence[Attempt],
        rows: Mapping[str, Sequence[ParamsOutcome]],
    ) -> ParamsRecord:
        storage = redact_address(storage_url(self.given) or "journal")
        return ParamsRecord(
            model=self.given.model.name,
            config_sha256=self.job.config.sha256(),
            search=self.search.model_copy(update={"storage": storage}),
            winner=self._member(best),
            front=[self._member(attempt) for attempt in members],
            counts=self._counts(),
            seconds=seconds,
            importances={
                name: importances(self.trials.study, i)
                for i, name in enumerate(self.search.objectives)
            },
            dimensions={
                d.key: d.labels() if d.kind == "choice" else [d.low, d.high]
                for d in self.space.dimensions
            },
            logarithmic=[d.key for d in self.space.dimensions if d.log],
            rows=rows,
            paired=compare.paired_tests(self.folder, OURS, rows),
            warnings=self.job.warnings,
        )

    def _counts(self) -> dict[str, int]:
        """Return the number of trials by state, and of retries."""
        states = [attempt.state for attempt in self.trials.finished().values()]
        counts = {state.lower(): states.count(state) for state in (COMPLETE, PRUNED, FAIL)}
        retries = sum(attempt.retry_of is not None for attempt in self.trials.attempts())
        return {**counts, "retries": retries}

    def _member(self, attempt: Attempt) -> Member:
        return Member(
            trial=attempt.slot,
            values=dict(zip(self.search.objectives, attempt.values, strict=True)),
            params=attempt.params,
            config_sha256=attempt.config_sha256,
            folder=str(self.runner.place(attempt.slot).relative_to(self.folder)),
        )


def _no_winner(finished: Sequence[Attempt]) -> str:
    """Return why there is no winner, and the way out."""
    failures = [a.failure or "its worker died" for a in finished if a.state == FAIL]
    if failures:
        return (
            f"no trial is complete: {len(failures)} of {len(finished)} failed: {failures[0]} "
            "(all reasons are in trials.parquet; start again with --force)"
        )
    return (
        f"no trial is complete ({len(finished)} pruned): search.timeout must be longer; "
        "re-run the same command with a longer one to resume"
    )
