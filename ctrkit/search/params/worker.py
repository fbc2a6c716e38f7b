"""One worker of ``search params``: ``python -m ctrkit.search.params.worker FOLDER [SECONDS]``.

It knows the folder alone, shares the trials with strangers, and ends after its trial when the
process that started it is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

from ctrkit.config.files import load_config
from ctrkit.data.read.sources import open_source
from ctrkit.errors import CtrkitError
from ctrkit.runs.inputs import read_options
from ctrkit.schema import Schema
from ctrkit.search.params.config import ParamsConfig
from ctrkit.search.params.history import Clock
from ctrkit.search.params.job import ParamsJob

logger = logging.getLogger(__name__)


class WorkerClock(Clock):
    """Seconds that are left to a worker, none once its parent is gone; nothing is remembered."""

    def __init__(self, limit: float | None) -> None:
        self.limit, self.before, self.start = limit, 0.0, time.monotonic()
        self.parent = os.getppid()

    def over(self) -> bool:
        """Say whether no trial may begin."""
        return os.getppid() != self.parent or super().over()

    def tick(self) -> None:
        """Do nothing."""


def open_job_of(folder: Path) -> ParamsJob:
    """Build the job of a search folder."""
    config: ParamsConfig = load_config(folder / "config.json", kind=ParamsConfig)
    schema = Schema.load(folder / "schema.toml")
    assert config.data.path is not None
    source = open_source(config.data.path, read_options(config.data, schema.columns or None))
    return ParamsJob(config, source, schema, folder)


def main(arguments: list[str]) -> int:
    """Work; return the exit code: 2 after a mistake of the user's, 130 when interrupted."""
    folder = Path(arguments[0])
    clock = WorkerClock(float(arguments[1]) if len(arguments) > 1 else None)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("ctrkit").setLevel(logging.INFO)
    try:
        job = open_job_of(folder)
        torch.set_num_threads(job.threads())
        job.join()
        trials = job.trials()
        try:
            job.work(trials, clock)
        finally:
            trials.close()
    except (CtrkitError, OSError) as error:  # another worker would meet it too
        logger.error("%s", error)  # noqa: TRY400
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _interrupt)  # a background job may have it ignored
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main(sys.argv[1:]))
