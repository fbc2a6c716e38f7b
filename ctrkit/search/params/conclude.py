"""The end of ``search params``: the winner retrained, set beside what was before, reported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctrkit.config.sections import RunConfig
from ctrkit.errors import CtrkitError
from ctrkit.files import atomic_path, copy, remove
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
from ctrkit.search.params.storage import hide_password
from ctrkit.search.params.study import Trials
from ctrkit.search.params.trial import COMPLETE, FAIL, PRUNED, Attempt
from ctrkit.search.training import TrainingJob, seeded
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
"""Of another search's folder: what the winner puts on top."""


class Conclusion:
    """What follows the last trial of a study.

    Args:
        job: Whose study it is.
        trials: All of them.
    """

    def __init__(
        self, job: SearchJob, given: ParamsConfig, runner: TrialRunner, trials: Trials
    ) -> None:
        self.job, self.given, self.runner, self.trials = job, given, runner, trials
        self.folder, self.search, self.space = job.folder, given.search, runner.space

    def write(self, seconds: float) -> Search:
        """Leave the winner, the files of the Pareto set, the record and the report.

        Args:
            seconds: That the search took.

        Raises:
            CtrkitError: No trial was completed.
        """
        ended = self.trials.finished()
        best = best_of(list(ended.values()), self.search.objectives)
        frame = trials_frame(self.trials, self.search.objectives)
        with atomic_path(self.folder / "trials.parquet") as beside:
            frame.write_parquet(beside)
        if best is None:
            raise CtrkitError(self._nothing(list(ended.values())))
        winner = best.slot
        config = self.runner.config(self.space.point(best.params), winner)
        job = self._top(config, winner)
        rows = self._rows(config)
        self._warn_of_before(rows)
        members = front(list(ended.values()), self.search.objectives)
        if len(self.search.objectives) > 1:
            self._pareto(members)
        record = self._record(seconds, best, members, rows)
        summary = summarise_params_search(record.to_json(), frame)
        return self.job.finish(record, summary, job)

    def _nothing(self, ended: Sequence[Attempt]) -> str:
        """Say why there is no winner, and what to do."""
        failures = [t.failure or "its worker died" for t in ended if t.state == FAIL]
        if failures:
            return (
                f"no trial was completed; {len(failures)} of {len(ended)} failed: "
                f"{failures[0]} (more in trials.parquet; --force begins anew)"
            )
        return (
            f"no trial was completed ({len(ended)} ended): give search.timeout more seconds; "
            "the same command goes on"
        )

    def _top(self, config: RunConfig, slot: int) -> TrainingJob:
        """Put the winner on top of the folder: the file that trains it, and its run."""
        place, run = self.runner.place(slot), self.folder / "run"
        if type(config) is not RunConfig:
            if not (place / "run" / "model.safetensors").is_file():
                self.runner.make(config, place)
            for name in DECISIONS:
                if (place / name).exists():
                    copy(place / name, self.folder / name)
            job = TrainingJob.load(self.folder / "run.toml")
        else:
            job = self._plain(config)
            job.save(self.folder / "run.toml")
            if not self.runner.holds(run, job.config) or not (run / "record.json").is_file():
                remove(run)
                if (place / "model.safetensors").is_file():
                    copy(place, run)
        if (run / "record.json").is_file():
            self.job.restate(job.config)
        else:
            self.job.train(job, run)
        return job

    def _plain(self, config: RunConfig) -> TrainingJob:
        """Return the job of a trial's configuration, apart from the search."""
        data = config.data.model_copy(update={"schema_path": self.job.path("schema.toml")})
        track = config.track.model_copy(update={"run_name": self.given.track.run_name})
        update = {"data": data, "track": track}
        return TrainingJob(config.model_copy(update=update), self.job.schema)

    def _rows(self, config: RunConfig) -> dict[str, list[ParamsOutcome]]:
        """Train the winner with more seeds, and what was there before the search with all."""
        seeds = self.job.seeds
        ours = {seeds[0]: self._row(self.folder / "run")}
        ours |= self._again(config, "seeds", seeds[1:])
        if self.job.options.controls == "none":
            return {OURS: list(ours.values())}
        before = self._again(self.runner.config({}), "controls", list(ours))
        both = [seed for seed in ours if seed in before]
        rows = {OURS: [ours[s] for s in both], BEFORE: [before[s] for s in both]}
        return rows if both else {OURS: list(ours.values())}

    def _warn_of_before(self, rows: dict[str, list[ParamsOutcome]]) -> None:
        """Warn if validation significantly prefers the configuration before the search."""
        if BEFORE in rows and self.search.objectives[0] == "logloss":
            self.job.warn_if_better(
                "the configuration before the search", rows[BEFORE][0], rows[OURS][0]
            )

    def _again(
        self, config: RunConfig, name: str, seeds: Sequence[int]
    ) -> dict[int, ParamsOutcome]:
        """Train a configuration with seeds; one that cannot be trained is told and left out."""
        found = {}
        for seed in seeds:
            place = self.folder / name / str(seed)
            named = f"{self.given.track.run_name or self.folder.name}-{name}-{seed}"
            track = config.track.model_copy(update={"run_name": named})
            one = seeded(config, seed).model_copy(update={"track": track})
            try:
                with tracked_below(self.folder, role=name):
                    run = self.runner.make(one, place)
            except CtrkitError as error:
                self.job.warn(f"{name}, seed {seed}: {error}")
            else:
                found[seed] = self._row(run)
        return found

    def _row(self, run: Path) -> ParamsOutcome:
        result = RunResult.load(run)
        return ParamsOutcome.of(result, self.folder, seconds=result.record.timings["total_s"])

    def _pareto(self, members: list[Attempt]) -> None:
        """Write a file for each member of the Pareto set that trains it again."""
        if self.search.over != "params":
            return
        remove(self.folder / "pareto")
        (self.folder / "pareto").mkdir()
        for trial in members:
            job = self._plain(self.runner.config(self.space.point(trial.params), trial.slot))
            job.save(
                self.folder / "pareto" / f"{trial.slot:04d}.toml",
                root=self.folder,
                pairs="../pairs.json",
            )

    def _record(
        self,
        seconds: float,
        best: Attempt,
        members: list[Attempt],
        rows: dict[str, list[ParamsOutcome]],
    ) -> ParamsRecord:
        storage = hide_password(storage_url(self.given) or "journal")
        ended = self.trials.finished().values()
        states = [t.state for t in ended]
        counts = {s.lower(): states.count(s) for s in (COMPLETE, PRUNED, FAIL)}
        counts["retries"] = sum(t.retry_of is not None for t in self.trials.attempts())
        importance: dict[str, dict[str, list[float]]] = {
            name: {k: list(v) for k, v in importances(self.trials.study, i).items()}
            for i, name in enumerate(self.search.objectives)
        }
        return ParamsRecord(
            model=self.given.model.name,
            config_sha256=self.job.config.sha256(),
            search=self.search.model_copy(update={"storage": storage}),
            winner=self._member(best),
            front=[self._member(t) for t in members],
            counts=counts,
            seconds=seconds,
            importances=importance,
            dimensions={
                d.key: d.labels() if d.kind == "choice" else [d.low, d.high]
                for d in self.space.dimensions
            },
            logarithmic=[d.key for d in self.space.dimensions if d.log],
            rows=rows,
            paired=compare.paired_tests(self.folder, OURS, rows),
            warnings=self.job.warnings,
        )

    def _member(self, trial: Attempt) -> Member:
        return Member(
            trial=trial.slot,
            values=dict(zip(self.search.objectives, trial.values, strict=True)),
            params=trial.params,
            config_sha256=trial.config_sha256,
            folder=str(self.runner.place(trial.slot).relative_to(self.folder)),
        )
