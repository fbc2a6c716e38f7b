"""Where Optuna keeps a study: a journal file in the search folder, or a database.

A journal file has no heartbeat: a lock in the folder shows that a trial's worker lives. A database
has one, so machines that share no folder can share a study.
"""

from __future__ import annotations

import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from filelock import FileLock

from ctrkit.errors import ConfigError
from ctrkit.files import cut_half_line
from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.secrets import redact, redact_address

if TYPE_CHECKING:
    import optuna
    from optuna.storages.journal import JournalFileOpenLock
ADVISORY_LOCK = 0x6374726B6974
"""Key of the lock in PostgreSQL that protects the creation of tables."""


class StudyStorage(ABC):
    """A place for a study that any number of processes use at once."""

    shared: ClassVar[bool]
    """Whether other machines may use it."""

    @abstractmethod
    def open(self, create: Callable[[optuna.storages.BaseStorage], optuna.Study]) -> optuna.Study:
        """Connect and open the study.

        Args:
            create: Open the study in a storage; called by one process at a time.

        Raises:
            ConfigError: The storage cannot be used.
        """

    @abstractmethod
    def heartbeat(self, trial: optuna.Trial) -> AbstractContextManager[None]:
        """Show other machines that a trial's worker lives, as long as the context lasts."""

    @abstractmethod
    def fail_stale(self, study: optuna.Study) -> None:
        """Fail the trials whose heartbeat stopped."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""


class Journal(StudyStorage):
    """A journal file."""

    shared = False

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()  # Optuna's lock file must not depend on the current folder

    def open(self, create: Callable[[optuna.storages.BaseStorage], optuna.Study]) -> optuna.Study:
        """Open the study in the file."""
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        lock = _journal_lock(self.path)
        return create(JournalStorage(JournalFileBackend(str(self.path), lock)))

    def heartbeat(self, trial: optuna.Trial) -> AbstractContextManager[None]:
        """Do nothing: a file has no heartbeat."""
        return nullcontext()

    def fail_stale(self, study: optuna.Study) -> None:
        """Do nothing: a file has no heartbeat."""

    def close(self) -> None:
        """Do nothing: a file stays closed between operations."""


def _journal_lock(path: Path) -> JournalFileOpenLock:
    """Return the lock for appending to a journal: one of the OS, which a killed process releases.

    What a killed process left of a line is removed before the next one is appended.
    """
    from optuna.storages.journal import JournalFileOpenLock

    class JournalLock(JournalFileOpenLock):
        def __init__(self) -> None:
            self.lock = FileLock(str(path.with_name("journal.lock")))

        def acquire(self) -> bool:
            self.lock.acquire()
            cut_half_line(path)
            return True

        def release(self) -> None:
            self.lock.release()

    return JournalLock()


class Database(StudyStorage):
    """A database that SQLAlchemy can open.

    Args:
        url: Its address.
        config: ``[search]``, for the intervals of the heartbeat.
        retry: Called with each trial whose heartbeat stopped, after it was failed.
    """

    shared = True

    def __init__(
        self,
        url: str,
        config: ParamsSearchConfig,
        retry: Callable[[optuna.trial.FrozenTrial], None],
    ) -> None:
        self.url, self.config, self.retry = url, config, retry
        self._storage: optuna.storages.RDBStorage | None = None

    def open(self, create: Callable[[optuna.storages.BaseStorage], optuna.Study]) -> optuna.Study:
        """Connect and open the study; tables and study are created by one process at a time."""
        try:
            with _exclusive(self.url):
                self._storage = self._connect()
                return create(self._storage)
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ConfigError(
                f"search.storage {redact_address(self.url)} cannot be used: "
                f"{redact(reason, self.url)}"
            ) from error

    def _connect(self) -> optuna.storages.RDBStorage:
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.storages.RDBStorage(
                self.url,
                heartbeat_interval=self.config.heartbeat,
                grace_period=self.config.grace,
                heartbeat_stale_trial_callback=lambda _, trial: self.retry(trial),
            )

    @contextmanager
    def heartbeat(self, trial: optuna.Trial) -> Iterator[None]:
        """Record a heartbeat at each interval, in a thread."""
        stop, storage, number = threading.Event(), self._storage, trial._trial_id
        assert storage is not None

        def record() -> None:
            while True:
                with suppress(Exception):  # the database may be away for a while
                    storage.record_heartbeat(number)
                if stop.wait(self.config.heartbeat):
                    return

        thread = threading.Thread(target=record, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def fail_stale(self, study: optuna.Study) -> None:
        """Fail the trials whose heartbeat stopped."""
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(study)

    def close(self) -> None:
        """Close the connections."""
        if self._storage is not None:
            self._storage.remove_session()
            self._storage.engine.dispose()


@contextmanager
def _exclusive(url: str) -> Iterator[None]:
    """Hold a lock in a PostgreSQL server: two machines must not create the tables at once."""
    from sqlalchemy import create_engine, text

    if not url.startswith("postgresql"):
        yield
        return
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
            yield  # closing the connection releases the lock
    finally:
        engine.dispose()


def same_database(a: str, b: str) -> bool:
    """Return whether two URLs name one database, regardless of driver, user and options."""
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
