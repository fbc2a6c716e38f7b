"""Trials that strangers share: claimed, kept alive, buried, tried again, counted.

A *slot* is one of the trials that a search is to make; a trial whose worker died is tried again in
the same slot. A journal file has no heartbeat: there each trial holds an OS lock, which its
worker's death frees. A database has a heartbeat, and locks besides for workers of one folder.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from ctrkit.errors import ConfigError
from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.search.params.dimension import Dimension
from ctrkit.search.params.pareto import DIRECTION
from ctrkit.search.params.samplers import ADVISORY, make_pruner, make_sampler
from ctrkit.search.params.space import Space
from ctrkit.search.params.storage import hide_password

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial as FrozenTrial
    from optuna.trial import Trial
logger = logging.getLogger(__name__)
WORKERS = "workers"
JOURNAL = f"{WORKERS}/study.journal"
FINISHED = ("COMPLETE", "PRUNED", "FAIL")


@dataclass
class Claim:
    """A trial that this process runs.

    Attributes:
        trial: Optuna's.
        slot: Number of the trial that was first in its slot; it names the folder.
        attempt: 0, or how often a worker of the slot died.
        lock: Held while the trial runs.
    """

    trial: Trial
    slot: int
    attempt: int
    lock: FileLock


class Trials:
    """The study of one search, as one process sees it.

    Args:
        config: ``[search]``.
        folder: The search folder.
        name: Of the study in its storage.
        seed: Of the sampler.
        url: Optuna's database; None: a journal file in the folder.
        start: What the first trial of a new study is to try; the rest of it is drawn.
    """

    def __init__(
        self,
        config: ParamsSearchConfig,
        folder: Path,
        name: str,
        seed: int,
        url: str | None,
        start: Mapping[str, Any] | None = None,
    ) -> None:
        self.config, self.folder, self.seed, self.url = config, folder, seed, url
        self.start = dict(start or {})
        self.home = f"{socket.gethostname()}:{folder.absolute()}"
        places = folder.absolute() / WORKERS
        places.mkdir(parents=True, exist_ok=True)
        self.turn = FileLock(str(places / "turn.lock"))
        self.name = name
        with self.turn:
            self.study = self._open()

    # ---- the storage

    def _open(self) -> optuna.Study:
        """Open the study; whoever comes first makes tables and study while the others wait."""
        import optuna
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        if self.url is None:
            path = self.folder.absolute() / JOURNAL  # absolute: else stale locks stay for ever
            self.storage: Any = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
            return self._create()
        try:
            with _alone(self.url):
                self.storage = self._database(self.url)
                return self._create()
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ConfigError(
                f"search.storage {hide_password(self.url)} cannot be used: {hide_password(reason)}"
            ) from error

    def _create(self) -> optuna.Study:
        import optuna

        directions = [
            optuna.study.StudyDirection[DIRECTION[o].upper()] for o in self.config.objectives
        ]
        study = optuna.create_study(
            storage=self.storage,
            study_name=self.name,
            load_if_exists=True,
            directions=directions,
            sampler=make_sampler(self.config, self.seed),
            pruner=make_pruner(self.config),
        )
        if self.start and not study.get_trials(deepcopy=False):
            study.enqueue_trial(self.start)
        return study

    def _database(self, url: str) -> Any:
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.storages.RDBStorage(
                url,
                heartbeat_interval=self.config.heartbeat,
                grace_period=self.config.grace,
                heartbeat_stale_trial_callback=lambda _, trial: self._retry(trial),
            )

    def close(self) -> None:
        """Let go of a database's connections."""
        if self.url is not None:
            self.storage.remove_session()
            self.storage.engine.dispose()

    def trials(self) -> list[FrozenTrial]:
        """Return all trials, but those that came too late to be run."""
        return [t for t in self.study.get_trials(deepcopy=False) if "surplus" not in t.user_attrs]

    def slots(self) -> dict[int, FrozenTrial]:
        """Return each slot's last trial."""
        found: dict[int, FrozenTrial] = {}
        for trial in self.trials():
            found[slot_of(trial)] = trial
        return found

    def finished(self) -> dict[int, FrozenTrial]:
        """Return the slots that ended, however."""
        return {
            n: t for n, t in self.slots().items() if t.state.name in FINISHED and not self._lost(t)
        }

    def done(self) -> bool:
        """Say whether every slot of the search ended."""
        return len(self.finished()) >= self.config.trials

    # ---- one trial

    def claim(self) -> Claim | None:
        """Take the next trial; None: none is left to take now.

        The whole search is counted under one lock per folder; between machines, a trial that
        proves to be one too many is given up before it is run.
        """
        with self.turn:
            self._bury()
            slots = self.slots()
            waiting = any(t.state.name == "WAITING" for t in slots.values())
            if not waiting and len(slots) >= self.config.trials:
                return None
            number = len(self.study.get_trials(deepcopy=False))
            self.study.sampler = make_sampler(self.config, self.seed, number)
            with warnings.catch_warnings():  # the sign of life is ours, see alive()
                warnings.filterwarnings("ignore", "Heartbeat of storage is supposed")
                trial = self.study.ask()
            trial.set_user_attr("home", self.home)
            slot = int(trial.user_attrs.get("slot", trial.number))
            if self._surplus(trial.number, slot):
                trial.set_user_attr("surplus", True)
                self._tell(trial.number, None)
                return None
            lock = self._lock(trial.number)
            lock.acquire()
            trial.set_user_attr("worker", os.getpid())
            return Claim(trial, slot, int(trial.user_attrs.get("attempt", 0)), lock)

    def _surplus(self, number: int, slot: int) -> bool:
        """Say whether another machine was quicker with the last slot, or with this retry."""
        before = [t for t in self.trials() if t.number < number]
        if slot != number:
            twins = [t for t in before if slot_of(t) == slot and t.state.name != "FAIL"]
            return bool(twins)
        return len({slot_of(t) for t in before}) >= self.config.trials

    def draw(self, claim: Claim, space: Space) -> dict[str, Any]:
        """Draw the trial's point."""
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return space.draw(lambda one: suggest(claim.trial, one))

    @contextmanager
    def alive(self, claim: Claim) -> Iterator[None]:
        """Send signs of life to a database; free the lock at the end."""
        import optuna

        stop = threading.Event()
        number = claim.trial._trial_id

        def send(storage: optuna.storages.RDBStorage) -> None:
            while True:
                with suppress(Exception):  # the database may be away for a while
                    storage.record_heartbeat(number)
                if stop.wait(self.config.heartbeat):
                    return

        threads = []
        if isinstance(self.storage, optuna.storages.RDBStorage):
            threads = [threading.Thread(target=send, args=(self.storage,), daemon=True)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            claim.lock.release()

    def complete(self, claim: Claim, values: Sequence[float]) -> None:
        """End a trial with its objectives."""
        self._tell(claim.trial.number, list(values))

    def prune(self, claim: Claim) -> None:
        """End a trial that was stopped."""
        import optuna

        with suppress(ValueError):  # another process took it for dead
            self.study.tell(claim.trial.number, state=optuna.trial.TrialState.PRUNED)

    def fail(self, claim: Claim, reason: str) -> None:
        """End a trial by a fault of its own: it is not tried again."""
        claim.trial.set_user_attr("failure", reason)
        self._tell(claim.trial.number, None)

    def interrupt(self, claim: Claim) -> None:
        """Leave a trial to whoever goes on: its checkpoint is there, and the attempt is free."""
        frozen = self.study.get_trials(deepcopy=False)[claim.trial.number]
        self._retry(frozen, again=0)
        self._tell(claim.trial.number, None)

    def _tell(self, number: int, values: list[float] | None) -> None:
        import optuna

        state = optuna.trial.TrialState.FAIL if values is None else None
        try:
            self.study.tell(number, values, state=state)
        except ValueError as error:  # another process took it for dead
            logger.warning("trial %d was not recorded: %s", number, error)

    # ---- the dead

    def _lock(self, number: int) -> FileLock:
        return FileLock(str(self.folder.absolute() / WORKERS / f"{number}.lock"))

    def _bury(self) -> None:
        """Fail the trials whose worker is gone, each with a successor in its slot."""
        import optuna

        if self.url is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                optuna.storages.fail_stale_trials(self.study)
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state.name == "RUNNING" and self._dead(trial):
                self._retry(trial)
                with suppress(ValueError):
                    self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        for trial in self.slots().values():  # failed, and cut before it had a successor
            if self._lost(trial) and trial.user_attrs.get("home") == self.home:
                self._retry(trial)

    def _dead(self, trial: FrozenTrial) -> bool:
        home = trial.user_attrs.get("home")
        if self.url is not None and home is None:  # cut between the claim and its first word
            started = trial.datetime_start
            age = (datetime.now() - started).total_seconds() if started else 0.0
            return age > self.config.grace
        if self.url is not None and home != self.home:
            return False
        lock = self._lock(trial.number)
        try:
            with lock.acquire(blocking=False):
                return True
        except Timeout:
            return False

    def _retry(self, trial: FrozenTrial, again: int = 1) -> None:
        """Put the trial's point in the queue once more, unless it was there often enough."""
        attempt = int(trial.user_attrs.get("attempt", 0)) + again
        if attempt > self.config.retries:
            logger.warning("trial %d: its worker died %d times; given up", slot_of(trial), attempt)
            return
        known = (t.user_attrs.get("retry_of") for t in self.study.get_trials(deepcopy=False))
        if trial.number in known:
            return
        if again:
            logger.warning("trial %d: its worker died; it is tried again", slot_of(trial))
        self.study.enqueue_trial(
            dict(trial.params),
            user_attrs={"retry_of": trial.number, "slot": slot_of(trial), "attempt": attempt},
        )

    def _lost(self, trial: FrozenTrial) -> bool:
        """Say whether a failed trial is about to get a successor."""
        return (
            "failure" not in trial.user_attrs
            and trial.state.name == "FAIL"
            and (int(trial.user_attrs.get("attempt", 0)) < self.config.retries)
        )


@contextmanager
def _alone(url: str) -> Iterator[None]:
    """Hold a lock of a PostgreSQL server: two machines must not make the tables at once."""
    from sqlalchemy import create_engine, text

    if not url.startswith("postgresql"):
        yield
        return
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY})
            yield  # the connection's end frees it
    finally:
        engine.dispose()


def slot_of(trial: FrozenTrial) -> int:
    """Return the slot of a trial."""
    return int(trial.user_attrs.get("slot", trial.number))


def suggest(trial: Trial, one: Dimension) -> Any:
    """Ask Optuna for one value."""
    if one.kind == "choice":
        return one.value_of(trial.suggest_categorical(one.key, one.labels()))
    if one.kind == "int":
        step = int(one.step or 1)
        return trial.suggest_int(one.key, int(one.low), int(one.high), step=step, log=one.log)
    return trial.suggest_float(one.key, one.low, one.high, step=one.step, log=one.log)
