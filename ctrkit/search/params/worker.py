"""One worker of ``search params``: ``python -m ctrkit.search.params.worker FOLDER [SECONDS]``.

It gets only the folder, shares the trials with any other process, and stops after its trial
if the process that started it is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import torch

from ctrkit.config.files import load_config
from ctrkit.data.read.sources import open_source
from ctrkit.errors import CtrkitError
from ctrkit.runs.inputs import JobData, read_options
from ctrkit.schema import Schema
from ctrkit.search.params.clock import Clock
from ctrkit.search.params.config import ParamsConfig
from ctrkit.search.params.job import ParamsJob
from ctrkit.search.params.workers import DATA, USER_ERROR, threads_of
from ctrkit.secrets import redact

logger = logging.getLogger(__name__)
ADDRESSES = ("CTRKIT_SEARCH_STORAGE", "CTRKIT_TRACKING_URI", DATA)
"""Environment variables that hold addresses."""


class WorkerClock(Clock):
    """The seconds that are left to a worker: none once the process that started it is gone."""

    def __init__(self, limit: float | None) -> None:
        super().__init__(limit)
        self.parent = os.getppid()

    def over(self) -> bool:
        """Return whether no trial may begin any more."""
        return os.getppid() != self.parent or super().over()


def open_job_of(folder: Path) -> ParamsJob:
    """Return the job of a search folder."""
    config: ParamsConfig = load_config(
        folder / "config.json",
        flags={"data.path": os.environ.get(DATA)},
        kind=ParamsConfig,
        trust_plugins=True,  # the file was written by the process that started this one
    )
    schema = Schema.load(folder / "schema.toml")
    assert config.data.path is not None
    source = open_source(config.data.path, read_options(config.data, schema.columns or None))
    return ParamsJob(config, JobData(source, schema, []), folder)


def main(arguments: list[str]) -> int:
    """Run trials; return the exit code: 2 after a user error, 130 if interrupted."""
    folder = Path(arguments[0])
    clock = WorkerClock(float(arguments[1]) if len(arguments) > 1 else None)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger().handlers[0].addFilter(_without_secrets)
    logging.getLogger("ctrkit").setLevel(logging.INFO)
    try:
        job = open_job_of(folder)
        torch.set_num_threads(threads_of(job.search))
        job.join()
        trials = job.trials(clock.parent)
        try:
            job.work(trials, clock)
        finally:
            trials.close()
    except (CtrkitError, OSError) as error:  # another worker would fail alike
        logger.error("%s", error)  # noqa: TRY400
        return USER_ERROR
    except KeyboardInterrupt:
        return 130
    except Exception:  # the folder keeps the log
        addresses = filter(None, map(os.environ.get, ADDRESSES))
        logger.error("%s", redact(traceback.format_exc(), *addresses))  # noqa: TRY400
        return 1
    return 0


def _without_secrets(record: logging.LogRecord) -> bool:
    """Remove passwords from a line of the log."""
    record.msg, record.args = redact(record.getMessage()), ()
    return True


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _interrupt)  # a background job may have it ignored
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main(sys.argv[1:]))
