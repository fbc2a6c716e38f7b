"""Worker processes of ``search params`` on this machine: started, watched, replaced."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from ctrkit.errors import CtrkitError
from ctrkit.search.params.history import Clock, History
from ctrkit.search.params.study import WORKERS, Trials

if TYPE_CHECKING:
    from ctrkit.search.params.job import ParamsJob
logger = logging.getLogger(__name__)
POLL_S = 0.5
_LOG_TIME = re.compile(r"^[\d-]+ [\d:,]+ ")


class Workers:
    """Processes that share the trials with any others that join."""

    def __init__(self, job: ParamsJob, trials: Trials, clock: Clock, history: History) -> None:
        self.job, self.trials, self.clock, self.history = job, trials, clock, history
        self.running: dict[int, subprocess.Popen[bytes]] = {}
        self.deaths = 0

    def run(self) -> None:
        """Start them, watch them, replace the dead."""
        try:
            for number in range(self.job.search.jobs):
                self._start(number)
            while self.running:
                time.sleep(POLL_S)
                self.clock.tick()
                self.history.take(self.trials)
                self._look()
        finally:
            self._stop()

    def _start(self, number: int) -> None:
        command = [sys.executable, "-m", "ctrkit.search.params.worker", str(self.job.folder)]
        if self.clock.limit is not None:
            command.append(str(max(0.0, self.clock.limit - self.clock.seconds())))
        threads = str(self.job.threads())
        env = {**os.environ, "OMP_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads}
        if self.job.url is not None:
            env["CTRKIT_SEARCH_STORAGE"] = self.job.url
        log = self.job.folder / WORKERS / f"{number}.log"
        with log.open("ab") as file:  # a session of its own: Ctrl-C is passed on, once
            self.running[number] = subprocess.Popen(
                command,
                env=env,
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _look(self) -> None:
        for number, process in list(self.running.items()):
            code = process.poll()
            if code is None:
                continue
            del self.running[number]
            if code == 0 or self.clock.over() or self.trials.done():
                continue
            if code == 2:  # a mistake of the user's, told in the log's last line
                log = self.job.folder / WORKERS / f"{number}.log"
                lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise CtrkitError(_LOG_TIME.sub("", lines[-1]) if lines else "a worker gave up")
            self.deaths += 1
            log = self.job.folder / WORKERS / f"{number}.log"
            if self.deaths > self.job.search.jobs * (1 + self.job.search.retries) + len(
                self.trials.finished()
            ):
                raise CtrkitError(f"workers die again and again; the last words of one: {log}")
            logger.warning("worker %d died (exit code %d): another takes its place", number, code)
            self._start(number)

    def _stop(self) -> None:
        for process in self.running.values():
            process.send_signal(2)
        for process in self.running.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
