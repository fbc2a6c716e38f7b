"""The study of a search: trials claimed, kept alive, retried and counted by any processes at once.

A *slot* is one of the trials that a search is to make; a trial whose worker died is retried in the
same slot. Within a folder a trial's worker holds an OS lock, which its death releases; other
machines see a database's heartbeat.
"""

from __future__ import annotations

import logging
import os
import socket
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ctrkit.runs.folder import WORKERS
from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.search.params.dimension import Dimension
from ctrkit.search.params.locks import TrialLocks
from ctrkit.search.params.pareto import DIRECTION
from ctrkit.search.params.samplers import make_pruner, make_sampler
from ctrkit.search.params.space import Space
from ctrkit.search.params.storage import Database, Journal, StudyStorage
from ctrkit.search.params.trial import FAIL, FINISHED, Attempt, TrialNote

if TYPE_CHECKING:
    import optuna
    from optuna.trial import Trial
logger = logging.getLogger(__name__)
JOURNAL = f"{WORKERS}/study.journal"


@dataclass(frozen=True)
class Claim:
    """A trial that this process runs.

    Attributes:
        trial: Optuna's trial.
        slot: Number of the first attempt in the trial's slot; it names the folder.
        retries: How many workers died in earlier attempts, while their command went on.
        lock: Held while the trial runs.
    """

    trial: Trial
    slot: int
    retries: int
    lock: FileLock


class Trials:
    """The study of one search, as one process sees it.

    Args:
        config: ``[search]``.
        folder: The search folder.
        name: Name of the study in its storage.
        seed: Seed of the sampler.
        url: Address of Optuna's database; None: a journal file in the folder.
        start: Point of the first trial of a new study, as Optuna stores it; the dimensions that
            it leaves out are drawn.
        command: Process number of the command that this process belongs to; None: it is one.
    """

    def __init__(
        self,
        config: ParamsSearchConfig,
        folder: Path,
        name: str,
        seed: int,
        url: str | None,
        start: Mapping[str, Any] | None = None,
        command: int | None = None,
    ) -> None:
        self.command = os.getpid() if command is None else command
        self.config, self.name, self.seed = config, name, seed
        self.home = f"{socket.gethostname()}:{folder.absolute()}"
        self.locks = TrialLocks(folder)
        self.storage: StudyStorage = (
            Journal(folder / JOURNAL)
            if url is None
            else Database(url, config, lambda trial: self._retry(Attempt.of(trial)))
        )
        with self.locks.turn:
            self.study = self.storage.open(lambda storage: self._create(storage, start or {}))

    def _create(
        self, storage: optuna.storages.BaseStorage, start: Mapping[str, Any]
    ) -> optuna.Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        directions = [
            optuna.study.StudyDirection[DIRECTION[o].upper()] for o in self.config.objectives
        ]
        study = optuna.create_study(
            storage=storage,
            study_name=self.name,
            load_if_exists=True,
            directions=directions,
            sampler=make_sampler(self.config, self.seed),
            pruner=make_pruner(self.config),
        )
        if start and not study.get_trials(deepcopy=False):
            study.enqueue_trial(dict(start))
        return study

    def close(self) -> None:
        """Close the connections of a database."""
        self.storage.close()

    # ---- what the study holds

    def attempts(self) -> list[Attempt]:
        """Return all attempts, in order, except those that came too late to be run."""
        return [attempt for attempt in self._all() if not attempt.surplus]

    def slots(self) -> dict[int, Attempt]:
        """Return the last attempt in each slot."""
        return {attempt.slot: attempt for attempt in self.attempts()}

    def finished(self) -> dict[int, Attempt]:
        """Return the last attempt in each slot that is complete, pruned or failed for good."""
        return {n: a for n, a in self.slots().items() if a.state in FINISHED and not self._lost(a)}

    def done(self) -> bool:
        """Return whether every slot of the search has finished."""
        return len(self.finished()) >= self.config.trials

    def _all(self) -> list[Attempt]:
        return [Attempt.of(trial) for trial in self.study.get_trials(deepcopy=False)]

    # ---- one trial

    def claim(self) -> Claim | None:
        """Take the next trial; None if none can be taken now.

        Slots are counted under one lock per folder; between machines, a trial that proves to be
        one too many is given up before it is run.
        """
        with self.locks.turn:
            self._fail_abandoned()
            slots = self.slots()
            waiting = any(a.state == "WAITING" for a in slots.values())
            if not waiting and len(slots) >= self.config.trials:
                return None
            self.study.sampler = make_sampler(self.config, self.seed, self._next(slots))
            with warnings.catch_warnings():  # the heartbeat is sent by running()
                warnings.filterwarnings("ignore", "Heartbeat of storage is supposed")
                trial = self.study.ask()
            trial.set_user_attr("home", self.home)
            trial.set_user_attr("command", self.command)
            slot = int(trial.user_attrs.get("slot", trial.number))
            if self._is_surplus(trial.number, slot):
                trial.set_user_attr("surplus", True)
                self._tell(trial.number, None)
                return None
            lock = self.locks.trial(trial.number)
            lock.acquire()
            trial.set_user_attr("worker", os.getpid())
            return Claim(trial, slot, int(trial.user_attrs.get("attempt", 0)), lock)

    def _next(self, slots: Mapping[int, Attempt]) -> int:
        """Return the position of the next trial among the slots: a retry repeats its draw."""
        waiting = [attempt.slot for attempt in self._all() if attempt.state == "WAITING"]
        return list(slots).index(waiting[0]) if waiting else len(slots)

    def _is_surplus(self, number: int, slot: int) -> bool:
        """Return whether another machine was faster with the last slot, or with this retry."""
        earlier = [a for a in self.attempts() if a.number < number]
        if slot != number:
            return any(a.slot == slot and a.state != FAIL for a in earlier)
        return len({a.slot for a in earlier}) >= self.config.trials

    def draw(self, claim: Claim, space: Space) -> dict[str, Any]:
        """Draw the point of a trial."""
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            values = space.draw(lambda dimension: suggest(claim.trial, dimension))
        claim.trial.set_user_attr("drawn", True)
        return values

    @contextmanager
    def running(self, claim: Claim) -> Iterator[None]:
        """Show that the trial's worker lives; release the lock at the end."""
        try:
            with self.storage.heartbeat(claim.trial):
                yield
        finally:
            claim.lock.release()

    def complete(self, claim: Claim, values: Sequence[float]) -> None:
        """End a trial with its objectives."""
        self._tell(claim.trial.number, list(values))

    def prune(self, claim: Claim) -> None:
        """End a trial that the pruner stopped."""
        import optuna

        with suppress(ValueError):  # another process took its worker for dead
            self.study.tell(claim.trial.number, state=optuna.trial.TrialState.PRUNED)

    def fail(self, claim: Claim, reason: str) -> None:
        """End a trial that failed by its own fault; it is not retried."""
        claim.trial.set_user_attr("failure", reason)
        self._tell(claim.trial.number, None)

    def interrupt(self, claim: Claim) -> None:
        """Queue an interrupted trial again, to resume from its checkpoint; no retry is counted."""
        frozen = self.study.get_trials(deepcopy=False)[claim.trial.number]
        self._enqueue_again(Attempt.of(frozen), claim.retries)
        self._tell(claim.trial.number, None)

    def _tell(self, number: int, values: list[float] | None) -> None:
        import optuna

        state = optuna.trial.TrialState.FAIL if values is None else None
        try:
            self.study.tell(number, values, state=state)
        except ValueError as error:  # another process took its worker for dead
            logger.warning("trial %d was not recorded: %s", number, error)

    def was_attempt(self, claim: Claim, note: TrialNote, config_sha256: str) -> bool:
        """Return whether a note is of an earlier attempt at a trial, with its configuration."""
        return any(
            (a.slot, a.number, a.config_sha256) == (claim.slot, note.number, config_sha256)
            for a in self._all()
        )

    # ---- workers that died

    def _fail_abandoned(self) -> None:
        """Fail the trials whose worker died, and queue each again in its slot."""
        import optuna

        self.storage.fail_stale(self.study)
        for attempt in self._all():
            if attempt.state == "RUNNING" and self._abandoned(attempt):
                self._retry(attempt)
                with suppress(ValueError):
                    self.study.tell(attempt.number, state=optuna.trial.TrialState.FAIL)
        for attempt in self.slots().values():  # failed, but killed before it was queued again
            if self._lost(attempt) and attempt.home == self.home:
                self._retry(attempt)

    def _abandoned(self, attempt: Attempt) -> bool:
        """Return whether the worker of a running attempt is dead."""
        if self.storage.shared and attempt.home != self.home:
            # of another machine: its heartbeat counts, unless it died before its first one
            age = (datetime.now() - attempt.begun).total_seconds() if attempt.begun else 0.0
            return attempt.home is None and age > self.config.grace
        return self.locks.is_free(attempt.number)

    def _retry(self, attempt: Attempt) -> None:
        """Queue a trial whose worker died, unless that happened too often.

        Where the whole command was killed, the worker died with it, not by its trial.
        """
        alone = attempt.home != self.home or self.locks.command_lives(attempt.command)
        retries = attempt.retries + alone
        if retries > self.config.retries:
            logger.warning("trial %d: its worker died %d times; not retried", attempt.slot, retries)
        elif self._enqueue_again(attempt, retries):
            logger.warning("trial %d: its worker died; retrying", attempt.slot)

    def _enqueue_again(self, attempt: Attempt, retries: int) -> bool:
        """Queue an attempt's point again; return False if that was done already."""
        if any(a.retry_of == attempt.number for a in self._all()):
            return False
        point = attempt.params if attempt.drawn else attempt.fixed
        self.study.enqueue_trial(dict(point), user_attrs=attempt.next(retries))
        return True

    def _lost(self, attempt: Attempt) -> bool:
        """Return whether a failed attempt is about to be retried."""
        return (
            attempt.failure is None
            and attempt.state == FAIL
            and attempt.retries < self.config.retries
        )


def suggest(trial: Trial, dimension: Dimension) -> Any:
    """Ask Optuna for a value of one dimension."""
    key = dimension.key
    if dimension.kind == "choice":
        return dimension.value_of(trial.suggest_categorical(key, dimension.labels()))
    if dimension.kind == "int":
        low, high, step = int(dimension.low), int(dimension.high), int(dimension.step or 1)
        return trial.suggest_int(key, low, high, step=step, log=dimension.log)
    return trial.suggest_float(
        key, dimension.low, dimension.high, step=dimension.step, log=dimension.log
    )
