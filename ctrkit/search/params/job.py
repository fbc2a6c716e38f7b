"""``search params``: trials drawn by Optuna, in parallel and resumable, and the best retrained."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import ClassVar

import torch
from filelock import FileLock

from ctrkit.data.store.cache import home
from ctrkit.errors import CtrkitError
from ctrkit.files import write_json
from ctrkit.records import Tracker
from ctrkit.runs.folder import WORKERS
from ctrkit.runs.inputs import JobData
from ctrkit.search.base import (
    DEFAULTS,
    Search,
    SearchJob,
    SearchOptions,
    quiet_training,
)
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
from ctrkit.search.params.runner import TrialRunner
from ctrkit.search.params.study import Trials
from ctrkit.search.params.trial import FAIL
from ctrkit.search.params.workers import DATA, POLL_S, Workers
from ctrkit.secrets import redact_address
from ctrkit.track import make_search_tracker

logger = logging.getLogger(__name__)
HOPELESS = 5
"""A search stops if its first trials all failed and there are at least so many."""


class ParamsJob(SearchJob):
    """A study of trials in a folder; workers build the job from the folder alone."""

    config: ParamsConfig
    shared: ClassVar = True
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
        data: JobData,
        folder: Path,
        options: SearchOptions = DEFAULTS,
    ) -> None:
        """Build the space and choose the storage; nothing is read or written yet."""
        self.given = with_absolute_paths(config)
        self.space = make_space(self.given)
        super().__init__(self.given, data, folder.absolute(), options)
        self.search = config.search
        self.url = storage_url(config)
        self.runner = TrialRunner(
            self.folder, self.search, self.space, self.source, self.schema, self.progress
        )
        if self.search.jobs > 1 and "latency" in self.search.objectives:
            self.warnings.append(
                "latency is measured while other workers train; use --jobs 1 for exact values"
            )

    # ---- the folder

    def identity(self) -> dict[str, object]:
        """Return what makes a search the same search; limits and number of workers do not count."""
        return search_identity(self.config, self.schema, self.source)

    def claim(self) -> None:
        """Check that the search may use its folder, one process at a time."""
        with self._door():
            super().claim()

    def open_folder(self) -> None:
        """Make the folder ready, and leave in it what a worker needs."""
        with self._door():
            super().open_folder()
            data = self.given.model_dump(mode="json", by_alias=True, exclude_unset=True)
            data.setdefault("search", {}).pop("storage", None)
            write_json(self.folder / "config.json", data)
            self.schema.save(self.folder / "schema.toml")

    def join(self) -> None:
        """Load the rows as a worker; the folder belongs to another process."""
        _ = self.data

    def _door(self) -> FileLock:
        """Return a lock for what one process does at a time; it leaves no trace in the folder."""
        place = home() / "locks"
        place.mkdir(parents=True, exist_ok=True)
        return FileLock(str(place / f"{digest({'folder': str(self.folder)})}.lock"))

    def trials(self, command: int | None = None) -> Trials:
        """Open the study.

        Args:
            command: Process number of the command that this process works for; None: its own.
        """
        name = self.search.study or study_name(self.given, self.schema, self.source)
        start = self.space.start()
        return Trials(self.search, self.folder, name, self.first, self.url, start, command)

    # ---- the search

    def _execute(self) -> Search:
        """Search, retrain the winner, compare, report."""
        self.claim()
        self.open()
        trials = self.trials()
        self._report_resumed(trials)
        tracker = self._tracker()
        clock = SavedClock(self.folder / "clock.json", self.search.timeout)
        history = History(self.folder, self.search.objectives, tracker, self.progress)
        try:
            with trials.locks.command():
                self._run_trials(trials, clock, history)
            with FileLock(str(self.folder / WORKERS / "finish.lock")), quiet_training():
                search = Conclusion(self, self.given, self.runner, trials).write(clock.seconds())
        except KeyboardInterrupt:
            tracker.finish("KILLED")
            raise
        except BaseException:
            tracker.finish("FAILED")
            raise
        finally:
            trials.close()
        tracker.finish("FINISHED")
        return search

    def _run_trials(self, trials: Trials, clock: Clock, history: History) -> None:
        """Run trials in this process, or in workers, until all have finished or time is up."""
        if self.search.jobs > 1:
            Workers(self.folder, self.search, self._addresses(), trials, clock, history).run()
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

    def _addresses(self) -> dict[str, str]:
        """Return the environment variables by which a worker gets addresses with passwords."""
        store, rows = self.given.track.uri, self.given.data.path
        addresses = {"CTRKIT_SEARCH_STORAGE": self.url, "CTRKIT_TRACKING_URI": store, DATA: rows}
        return {name: address for name, address in addresses.items() if address is not None}

    def _report_resumed(self, trials: Trials) -> None:
        """Log which study is used and how many of its trials have finished."""
        finished = len(trials.finished())
        if self.url is not None:
            logger.info("study %s in %s", trials.name, redact_address(self.url))
        if finished and self.options.force:
            self.warn(
                f"--force does not clear a database: {finished} trials of the study count; "
                "start another study with --set search.study=NAME"
            )
        elif finished and not (self.folder / "record.json").is_file():
            logger.info("resuming: %d of %d trials have finished", finished, self.search.trials)

    def _tracker(self) -> Tracker:
        tracker = make_search_tracker(self.config.track, name=self.folder.name)
        data = self.config.model_dump(mode="json", by_alias=True)
        data["search"]["storage"] = redact_address(self.url or "journal")
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
