"""The end of ``search params``: the winner retrained, set beside what was before, reported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctrkit.config.files import load_config
from ctrkit.config.sections import RunConfig
from ctrkit.errors import CtrkitError
from ctrkit.files import atomic_path, remove, write_atomic, write_json
from ctrkit.records import RunRecord
from ctrkit.report import write_report
from ctrkit.runs.inputs import open_job
from ctrkit.runs.train import run_training
from ctrkit.search.base import (
    FORMAT,
    SPLITS,
    SearchJob,
    begun,
    copy_over,
    job_text,
)
from ctrkit.search.params.config import ParamsConfig
from ctrkit.search.params.history import trials_frame
from ctrkit.search.params.identity import storage_url
from ctrkit.search.params.pareto import best_of, front, importances
from ctrkit.search.params.report import summarise_params_search
from ctrkit.search.params.runner import TrialRunner
from ctrkit.search.params.storage import hide_password
from ctrkit.search.params.study import Trials
from ctrkit.search.params.trial import COMPLETE, FAIL, PRUNED, Attempt
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

    def write(self, seconds: float, seeds: int, controls: str) -> dict[str, Any]:
        """Leave the winner, the files of the Pareto set, the record and the report.

        Args:
            seconds: That the search took.
            seeds: How often the winner and the control are trained.
            controls: ``default`` or ``none``.

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
        self._top(config, winner)
        rows = self._rows(config, seeds, controls)
        self._warn_of_before(rows)
        members = front(list(ended.values()), self.search.objectives)
        if len(self.search.objectives) > 1:
            self._pareto(members)
        record = self._record(seconds, best, members, rows)
        write_json(self.folder / "record.json", record)
        write_report(summarise_params_search(record, frame), self.folder / "report.html")
        return record

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

    def _top(self, config: RunConfig, slot: int) -> None:
        """Put the winner on top of the folder: the file that trains it, and its run."""
        place, run = self.runner.place(slot), self.folder / "run"
        if type(config) is not RunConfig:
            if not (place / "run" / "model.safetensors").is_file():
                self.runner.make(config, place)
            for name in DECISIONS:
                copy_over(place / name, self.folder / name)
        else:
            self._write_run(config, self.folder / "run.toml", "schema.toml")
            if not (run / "record.json").is_file() or not begun(run, self._winner_config()):
                remove(run)
                if (place / "model.safetensors").is_file():
                    copy_over(place, run)
        if (run / "record.json").is_file():
            self.job.restate()
        else:
            rows = open_job(self._winner_config().data, {})
            run_training(
                self._winner_config(), rows.source, rows.schema, run, progress=self.job.progress
            )

    def _winner_config(self) -> RunConfig:
        return load_config(self.folder / "run.toml")

    def _write_run(self, config: RunConfig, path: Path, schema: str) -> None:
        data = config.data.model_copy(update={"schema_path": schema})
        track = config.track.model_copy(update={"run_name": self.given.track.run_name})
        pairs = self.folder / "pairs.json"  # of an earlier search over pairs
        text = job_text(config.model_copy(update={"data": data, "track": track}), pairs)
        if path.parent != self.folder:
            text = text.replace('"pairs.json"', '"../pairs.json"')
        write_atomic(path, text)

    def _rows(
        self, config: RunConfig, seeds: int, controls: str
    ) -> dict[str, list[dict[str, Any]]]:
        """Train the winner with more seeds, and what was there before the search with all."""
        ours = {self.job.first: self._row(self.folder / "run", self.job.first)}
        ours |= self._again(config, "seeds", list(self.job.seeds_from(seeds)))
        if controls == "none":
            return {"the search": list(ours.values())}
        before = self._again(self.runner.config({}), "controls", list(ours))
        both = [seed for seed in ours if seed in before]
        rows = {"the search": [ours[s] for s in both], "before": [before[s] for s in both]}
        return rows if both else {"the search": list(ours.values())}

    def _warn_of_before(self, rows: dict[str, list[dict[str, Any]]]) -> None:
        """Say where validation surely (95 %) prefers the settings before the search."""
        if "before" not in rows or self.search.objectives[0] != "logloss":
            return
        before, ours = rows["before"][0], rows["the search"][0]
        if self.job.prefers(before, ours):
            theirs, own = (r["validation"]["logloss"] for r in (before, ours))
            self.job.warn(
                f"the search did not pay here: on validation the settings before it "
                f"have a log loss of {theirs:.5f}, the winner {own:.5f}"
            )

    def _again(
        self, config: RunConfig, name: str, seeds: Sequence[int]
    ) -> dict[int, dict[str, Any]]:
        """Train a configuration with seeds; one that cannot be trained is told and left out."""
        found = {}
        for seed in seeds:
            place = self.folder / name / str(seed)
            named = f"{self.given.track.run_name or self.folder.name}-{name}-{seed}"
            one = config.model_copy(
                update={
                    "train": config.train.model_copy(update={"seed": seed}),
                    "track": config.track.model_copy(update={"run_name": named}),
                }
            )
            try:
                with tracked_below(self.folder, role=name):
                    run = self.runner.make(one, place)
            except CtrkitError as error:
                self.job.warn(f"{name}, seed {seed}: {error}")
            else:
                found[seed] = self._row(run, seed)
        return found

    def _row(self, run: Path, seed: int) -> dict[str, Any]:
        record = RunRecord.load(run / "record.json")
        return {
            "seed": seed,
            "folder": str(run.relative_to(self.folder)),
            "parameters": record.parameters["allocated"],
            "bytes": (run / "model.safetensors").stat().st_size,
            "seconds": record.timings["total_s"],
            **{s: {k: record.metrics[s][k] for k in ("auc", "logloss")} for s in SPLITS},
        }

    def _pareto(self, members: list[Attempt]) -> None:
        """Write a file for each member of the Pareto set that trains it again."""
        if self.search.over != "params":
            return
        remove(self.folder / "pareto")
        (self.folder / "pareto").mkdir()
        for trial in members:
            config = self.runner.config(self.space.point(trial.params), trial.slot)
            self._write_run(
                config, self.folder / "pareto" / f"{trial.slot:04d}.toml", "../schema.toml"
            )

    def _record(
        self,
        seconds: float,
        best: Attempt,
        members: list[Attempt],
        rows: dict[str, list[dict[str, Any]]],
    ) -> dict[str, Any]:
        search = self.search.model_dump(mode="json")
        search["storage"] = hide_password(storage_url(self.given) or "journal")
        ended = self.trials.finished().values()
        states = [t.state for t in ended]
        counts = {s.lower(): states.count(s) for s in (COMPLETE, PRUNED, FAIL)}
        counts["retries"] = sum(t.retry_of is not None for t in self.trials.attempts())
        mattered = {
            name: {k: list(v) for k, v in importances(self.trials.study, i).items()}
            for i, name in enumerate(self.search.objectives)
        }
        return {
            "format": FORMAT,
            "kind": "params",
            "model": self.given.model.name,
            "config_sha256": self.job.config.sha256(),
            "search": search,
            "winner": self._member(best),
            "front": [self._member(t) for t in members],
            "counts": counts,
            "seconds": seconds,
            "importances": mattered,
            "dimensions": {
                d.key: d.labels() if d.kind == "choice" else [d.low, d.high]
                for d in self.space.dimensions
            },
            "logarithmic": [d.key for d in self.space.dimensions if d.log],
            "rows": rows,
            "paired": self.job.paired("the search", rows),
            "warnings": self.job.warnings,
        }

    def _member(self, trial: Attempt) -> dict[str, Any]:
        return {
            "trial": trial.slot,
            "values": dict(zip(self.search.objectives, trial.values, strict=True)),
            "params": trial.params,
            "config_sha256": trial.config_sha256,
            "folder": str(self.runner.place(trial.slot).relative_to(self.folder)),
        }
