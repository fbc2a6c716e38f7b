"""``search params``: trials drawn by Optuna, in parallel and resumable, and the best retrained."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Unpack

import torch
from filelock import FileLock

from ctrkit.data.read.sources import Source
from ctrkit.data.store.cache import home
from ctrkit.errors import CtrkitError
from ctrkit.files import write_json
from ctrkit.records import Tracker
from ctrkit.runs.inputs import DataOptions, PathLike
from ctrkit.runs.prepare import load_dataset
from ctrkit.schema import Schema
from ctrkit.search.base import Search, SearchJob, check_repeats, open_search, quiet_training
from ctrkit.search.params.build import make_space
from ctrkit.search.params.clock import Clock, SavedClock
from ctrkit.search.params.conclude import DECISIONS, Conclusion
from ctrkit.search.params.config import ParamsConfig
from ctrkit.search.params.history import History
from ctrkit.search.params.identity import (
    digest,
    search_identity,
    storage_url,
    study_name,
    with_absolute_paths,
)
from ctrkit.search.params.locks import WORKERS
from ctrkit.search.params.runner import TrialRunner
from ctrkit.search.params.storage import hide_password
from ctrkit.search.params.study import Trials
from ctrkit.search.params.trial import FAIL
from ctrkit.search.params.workers import POLL_S, Workers
from ctrkit.track import make_search_tracker

logger = logging.getLogger(__name__)
CONTROLS = ("default", "none")
HOPELESS = 5
"""A search stops if its first trials, so many, all failed."""


def search_params(
    data: PathLike | None = None,
    *,
    model: str | None = None,
    out: PathLike = "search",
    trials: int | None = None,
    timeout: float | None = None,
    objectives: Sequence[str] = (),
    sampler: str | None = None,
    pruner: str | None = None,
    over: str | None = None,
    interactions: Sequence[str] = (),
    jobs: int | None = None,
    storage: str | None = None,
    seed: int | None = None,
    seeds: int = 1,
    controls: str = "default",
    force: bool = False,
    plugins: Sequence[PathLike] = (),
    progress: Any = None,
    **options: Unpack[DataOptions],
) -> Search:
    """Search for settings: of the model, of its training, or of another search.

    The first trial takes the settings before the search, as near as the space has them. The same
    call goes on where it was cut; given twice at once, or on several machines with one
    ``storage``, the processes share the trials.

    Args:
        data: As of :func:`ctrkit.jobs.train`; or a ``search.toml`` with a ``[search]`` section.
        model: A preset, or a registered interaction alone.
        out: The search folder.
        trials: ``search.trials``: how many in all.
        timeout: ``search.timeout``: seconds, over all resumes, after which no trial begins.
        objectives: ``logloss``, ``auc``, ``bytes``, ``latency``; several give a Pareto set.
        sampler: ``tpe``, ``random``, ``gp``, ``nsgaii`` or ``qmc``.
        pruner: ``auto``, ``median``, ``hyperband``, ``halving`` or ``none``.
        over: ``params``; ``features`` or ``interactions``: the knobs of that search.
        interactions: A pool of interaction layers, each in or out.
        jobs: Worker processes.
        storage: Optuna's database; without one, a journal file in ``out``.
        seed: Of weights, batches and the sampler.
        seeds: How often the winner and the control are trained.
        controls: ``default``: the model with the settings that it had before the search; ``none``.
        force: Replace the search in ``out``.
        plugins: Python files that register components.
        progress: Object with ``update(stage, done, total, text)``.
        **options: See :class:`~ctrkit.runs.inputs.DataOptions`.

    Raises:
        ConfigError: An option or a dimension of the space is unknown or out of bounds.
        RunFolderError: ``out`` holds another search, or files of none.
    """
    check_repeats(controls, CONTROLS, seeds)
    flags = {
        "trials": trials,
        "timeout": timeout,
        "sampler": sampler,
        "pruner": pruner,
        "over": over,
        "jobs": jobs,
        "storage": storage,
        "objectives": list(objectives) or None,
        "interactions": list(interactions) or None,
    }
    config, source, schema, warnings = open_search(
        data,
        options,
        ParamsConfig,
        model=model,
        seed=seed,
        plugins=plugins,
        more={f"search.{k}": v for k, v in flags.items()},
    )
    job = ParamsJob(config, source, schema, Path(out), warnings, progress)
    job.claim(force)
    return job.run(seeds, controls)


class ParamsJob(SearchJob):
    """A study of trials in a folder; workers build the job from the folder alone."""

    config: ParamsConfig
    parts: ClassVar = (
        "config.json",
        "schema.toml",
        "trials",
        "seeds",
        "controls",
        "pareto",
        "trials.parquet",
        "metrics.jsonl",
        "tracking.json",
        "clock.json",
        WORKERS,
        *DECISIONS,
    )

    def __init__(
        self,
        config: ParamsConfig,
        source: Source,
        schema: Schema,
        folder: Path,
        warnings: Sequence[str] = (),
        progress: Any = None,
    ) -> None:
        """Build the space and choose the storage; nothing is read or written yet."""
        self.given = with_absolute_paths(config)
        self.space = make_space(self.given)
        super().__init__(self.given, source, schema, folder.absolute(), warnings, progress)
        self.search = config.search
        self.url = storage_url(config)
        self.runner = TrialRunner(self.folder, self.search, self.space, source, schema, progress)
        if self.search.jobs > 1 and "latency" in self.search.objectives:
            self.warnings.append(
                "latency is measured while other workers train; use --jobs 1 for exact values"
            )

    # ---- the folder

    def identity(self) -> dict[str, Any]:
        """Return what makes a search the same search; how long and how widely it runs does not."""
        return search_identity(self.config, self.schema, self.source)

    def claim(self, force: bool) -> None:
        """Check that the search may use its folder, one process at a time."""
        with self._door():
            super().claim(force)

    def open_folder(self) -> None:
        """Make the folder ready, and leave in it what a worker needs."""
        with self._door():
            super().open_folder()
            data = self.given.model_dump(mode="json", by_alias=True, exclude_unset=True)
            data.setdefault("search", {}).pop("storage", None)  # it may hold a password
            write_json(self.folder / "config.json", data)
            self.schema.save(self.folder / "schema.toml")

    def join(self) -> None:
        """Load the rows as a worker; the folder belongs to another process."""
        self.data = load_dataset(self.config, self.source, self.schema, self.progress)

    def _door(self) -> FileLock:
        """Return a lock for what one process does at a time; it leaves no trace in the folder."""
        place = home() / "locks"
        place.mkdir(parents=True, exist_ok=True)
        return FileLock(str(place / f"{digest({'folder': str(self.folder)})}.lock"))

    def trials(self) -> Trials:
        """Open the study."""
        name = self.search.study or study_name(self.given, self.schema, self.source)
        return Trials(self.search, self.folder, name, self.first, self.url, self.space.start())

    # ---- the search

    def run(self, seeds: int, controls: str) -> Search:
        """Search, retrain the winner, compare, report."""
        self.load()
        trials = self.trials()
        self._report_resumed(trials)
        tracker = self._tracker()
        clock = SavedClock(self.folder / "clock.json", self.search.timeout)
        history = History(self.folder, self.search.objectives, tracker, self.progress)
        try:
            self._run_trials(trials, clock, history)
            with FileLock(str(self.folder / WORKERS / "finish.lock")), quiet_training():
                record = Conclusion(self, self.given, self.runner, trials).write(
                    clock.seconds(), seeds, controls
                )
        except KeyboardInterrupt:
            tracker.finish("KILLED")
            raise
        except BaseException:
            tracker.finish("FAILED")
            raise
        finally:
            trials.close()
        tracker.finish("FINISHED")
        return self.finished(record)

    def _run_trials(self, trials: Trials, clock: Clock, history: History) -> None:
        """Run trials in this process, or in workers, until all have finished or time is up."""
        if self.search.jobs > 1:
            Workers(self.folder, self.search, self.url, trials, clock, history).run()
        else:
            torch.set_num_threads(self.search.threads or torch.get_num_threads())
            with quiet_training():
                self.work(trials, clock, history)
        history.update(trials)
        if clock.over() and not trials.done():
            logger.info(
                "search.timeout reached after %.0f s: %d of %d trials have finished",
                clock.seconds(),
                len(trials.finished()),
                self.search.trials,
            )

    def _report_resumed(self, trials: Trials) -> None:
        """Log which study is used and how many of its trials have finished."""
        finished = len(trials.finished())
        if self.url is not None:
            logger.info("study %s in %s", trials.name, hide_password(self.url))
        if finished and self.force:
            self.warn(
                f"--force does not clear a database: {finished} trials of the study count; "
                "start another study with --set search.study=NAME"
            )
        elif finished and not (self.folder / "record.json").is_file():
            logger.info("resuming: %d of %d trials have finished", finished, self.search.trials)

    def _tracker(self) -> Tracker:
        tracker = make_search_tracker(self.config.track, name=self.folder.name)
        data = self.config.model_dump(mode="json", by_alias=True)
        data["search"]["storage"] = hide_password(self.url or "journal")
        with self._door():  # a second process joins the first one's tracked run
            tracker.start(
                self.folder,
                data,
                {"ctrkit.search_folder": str(self.folder), "ctrkit.kind": "params"},
            )
        return tracker

    def work(self, trials: Trials, clock: Clock, history: History | None = None) -> None:
        """Run trials until none is left or time is up; wait for those of other processes.

        Raises:
            CtrkitError: The first trials all failed.
        """
        while not trials.done():
            claim = None if clock.over() else trials.claim()
            if claim is not None:
                self.runner.run(trials, claim)
                _stop_if_hopeless(trials)
            elif clock.over():
                return
            else:
                time.sleep(POLL_S)
            clock.tick()
            if history is not None:
                history.update(trials)


def _stop_if_hopeless(trials: Trials) -> None:
    finished = trials.finished().values()
    if len(finished) >= HOPELESS and all(a.state == FAIL for a in finished):
        reason = next(iter(finished)).failure or "their workers died"
        raise CtrkitError(f"the first {len(finished)} trials all failed: {reason}")
