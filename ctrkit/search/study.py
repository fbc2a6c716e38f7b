"""Trials that strangers share: claimed, kept alive, buried, tried again, counted.

A *slot* is one of the trials that a search is to make; a trial whose worker died is tried again in
the same slot. A journal file has no heartbeat: there each trial holds an OS lock, which its
worker's death frees. A database has a heartbeat, and locks besides for workers of one folder.
"""

from __future__ import annotations

import logging
import os
import re
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

from ctrkit.config import ParamsSearchConfig
from ctrkit.errors import ConfigError
from ctrkit.search.space import Dimension, Space
from ctrkit.train import Callback, Context, Pruned

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial as FrozenTrial
    from optuna.trial import Trial

logger = logging.getLogger(__name__)

WORKERS = "workers"
JOURNAL = f"{WORKERS}/study.journal"
DIRECTION = {"logloss": "minimize", "auc": "maximize", "bytes": "minimize", "latency": "minimize"}
ADVISORY = 0x6374726B6974
"""Key of the lock in PostgreSQL."""
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


def make_sampler(config: ParamsSearchConfig, seed: int, number: int = 0) -> Any:
    """Return a sampler by name, seeded for one trial: a resumed search repeats no draw."""
    from optuna import exceptions, samplers

    own = (seed * 1_000_003 + number) % 2**32
    start = config.startup_trials
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ExperimentalWarning)
        match config.sampler:
            case "tpe":
                return samplers.TPESampler(
                    n_startup_trials=start,
                    multivariate=True,
                    group=True,
                    constant_liar=True,
                    seed=own,
                )
            case "gp":
                return samplers.GPSampler(n_startup_trials=start, seed=own)
            case "nsgaii":
                return samplers.NSGAIISampler(population_size=max(2, start), seed=own)
            case "qmc":  # its place in the sequence is in the study, so the seed must stay
                return samplers.QMCSampler(
                    scramble=True,
                    seed=seed,
                    warn_independent_sampling=False,
                    warn_asynchronous_seeding=False,
                )
    return samplers.RandomSampler(seed=own)


def make_pruner(config: ParamsSearchConfig) -> Any:
    """Return a pruner by name."""
    from optuna import pruners

    name = config.pruner
    if name == "none" or not prunes(config):
        return pruners.NopPruner()
    if name == "hyperband":
        return pruners.HyperbandPruner(min_resource=config.warmup + 1)
    if name == "halving":
        return pruners.SuccessiveHalvingPruner(min_resource=config.warmup + 1)
    return pruners.MedianPruner(
        n_startup_trials=config.prune_after, n_warmup_steps=config.warmup, n_min_trials=1
    )


def prunes(config: ParamsSearchConfig) -> bool:
    """Say whether trials report what they can be stopped by."""
    one = len(config.objectives) == 1 and config.objectives[0] in ("logloss", "auc")
    return one and config.pruner != "none" and config.over == "params"


class Pruning(Callback):
    """Reports each evaluation to Optuna and stops a trial that will not make it.

    A resumed trial is another one for Optuna: it is told what the first one had reported.
    """

    def __init__(self, trial: Trial, metric: str) -> None:
        self.trial, self.metric = trial, metric
        self.values: list[float] = []

    def evaluated(self, context: Context, line: Mapping[str, Any]) -> str | None:
        """Report; raise where the pruner says so."""
        self.values.append(float(line[self.metric]))
        self.trial.report(self.values[-1], len(self.values) - 1)
        if self.trial.should_prune():
            raise Pruned(f"stopped at evaluation {len(self.values)}")
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return what was reported."""
        return {"values": self.values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Report it again."""
        self.values = list(state["values"])
        for step, value in enumerate(self.values):
            self.trial.report(value, step)


def front(trials: Sequence[FrozenTrial], objectives: Sequence[str]) -> list[FrozenTrial]:
    """Return the complete trials that no other beats in every objective, in order of number."""
    signs = [1.0 if DIRECTION[o] == "minimize" else -1.0 for o in objectives]
    done = [t for t in trials if t.state.name == "COMPLETE"]
    points = [tuple(s * v for s, v in zip(signs, t.values, strict=True)) for t in done]

    def beaten(p: tuple[float, ...]) -> bool:
        return any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in points)

    return [t for t, p in zip(done, points, strict=True) if not beaten(p)]


def best_of(trials: Sequence[FrozenTrial], objectives: Sequence[str]) -> FrozenTrial | None:
    """Return the trial with the best first objective; ties go to the first."""
    sign = 1.0 if DIRECTION[objectives[0]] == "minimize" else -1.0
    done = [t for t in trials if t.state.name == "COMPLETE"]
    return min(done, key=lambda t: sign * t.values[0], default=None)


def importances(study: optuna.Study, objective: int) -> dict[str, tuple[float, int]]:
    """Return of each drawn setting how much it mattered, and the trials behind the figure.

    The score is PED-ANOVA's, which knows settings that only some trials have.
    """
    import optuna

    done = [t for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
    if len(done) < 4 or len({t.values[objective] for t in done}) < 2:
        return {}
    counts = {name: sum(name in t.params for t in done) for t in done for name in t.params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = optuna.importance.get_param_importances(
                study,
                evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
                target=lambda t: float(t.values[objective]),
            )
        except (RuntimeError, ValueError):  # too few trials of some setting
            return {}
    return {name: (float(score), counts[name]) for name, score in found.items()}


def same_database(a: str, b: str) -> bool:
    """Say whether two URLs name one database, whatever the driver, user or options."""
    return _database_of(a) == _database_of(b)


def _database_of(url: str) -> tuple[str, ...]:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parts = make_url(url)
    except ArgumentError:
        return (url,)
    backend = parts.get_backend_name()
    if backend == "sqlite":
        return (backend, str(Path(parts.database or "").absolute()))
    local = parts.host in (None, "", "127.0.0.1", "::1")
    host = parts.query.get("host", "localhost" if local else parts.host)
    port = parts.port or {"postgresql": 5432, "mysql": 3306}.get(backend)
    return (backend, str(host), str(port), str(parts.database))


def hide_password(text: str) -> str:
    """Return a text in which the passwords of URLs are stars."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", text)
