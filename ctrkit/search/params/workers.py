"""Worker processes of a search on this machine: started, watched, replaced if they die."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ctrkit.errors import CtrkitError
from ctrkit.runs.folder import WORKERS
from ctrkit.search.params.clock import Clock
from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.search.params.history import History
from ctrkit.search.params.study import Trials

logger = logging.getLogger(__name__)
POLL_S = 0.5
DATA = "CTRKIT_SEARCH_DATA"
"""Environment variable of a worker: the address of the rows, if the folder lacks its password."""
USER_ERROR = 2
_LOG_TIME = re.compile(r"^[\d-]+ [\d:,]+ ")


class Workers:
    """Processes that share the trials with any others that join.

    Args:
        folder: The search folder.
        search: ``[search]``.
        addresses: Environment variables of a worker that hold addresses, passwords included:
            neither the folder nor the process list has these.
        trials: The study.
        clock: The seconds of the search.
        history: Written as trials finish.
    """

    def __init__(
        self,
        folder: Path,
        search: ParamsSearchConfig,
        addresses: Mapping[str, str],
        trials: Trials,
        clock: Clock,
        history: History,
    ) -> None:
        self.folder, self.search, self.addresses = folder, search, addresses
        self.trials, self.clock, self.history = trials, clock, history
        self.running: dict[int, subprocess.Popen[bytes]] = {}
        self.deaths = 0

    def run(self) -> None:
        """Start the workers and watch them until all have finished.

        Raises:
            CtrkitError: A worker stopped with a user error, or workers keep dying.
        """
        try:
            for number in range(self.search.jobs):
                self._start(number)
            while self.running:
                time.sleep(POLL_S)
                self.clock.tick()
                self.history.update(self.trials)
                self._check()
        finally:
            self._stop()

    def _start(self, number: int) -> None:
        command = [sys.executable, "-m", "ctrkit.search.params.worker", str(self.folder)]
        if self.clock.limit is not None:
            command.append(str(max(0.0, self.clock.limit - self.clock.seconds())))
        threads = str(threads_of(self.search))
        env = {**os.environ, "OMP_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads}
        env |= self.addresses
        with self._log(number).open("ab") as file:  # own session: Ctrl-C is passed on once
            self.running[number] = subprocess.Popen(
                command,
                env=env,
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _log(self, number: int) -> Path:
        return self.folder / WORKERS / f"{number}.log"

    def _check(self) -> None:
        """Replace the workers that died."""
        for number, process in list(self.running.items()):
            code = process.poll()
            if code is None:
                continue
            del self.running[number]
            if code == 0 or self.clock.over() or self.trials.done():
                continue
            log = self._log(number)
            if code == USER_ERROR:  # the last line of the log says which
                lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise CtrkitError(_LOG_TIME.sub("", lines[-1]) if lines else "a worker stopped")
            self.deaths += 1
            allowed = self.search.jobs * (1 + self.search.retries) + len(self.trials.finished())
            if self.deaths > allowed:
                raise CtrkitError(f"workers keep dying; see the log of one: {log}")
            logger.warning("worker %d died (exit code %d); starting another", number, code)
            self._start(number)

    def _stop(self) -> None:
        for process in self.running.values():
            process.send_signal(signal.SIGINT)
        for process in self.running.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def threads_of(search: ParamsSearchConfig) -> int:
    """Return the number of CPU threads of one worker."""
    return search.threads or max(1, (os.cpu_count() or 1) // search.jobs)
