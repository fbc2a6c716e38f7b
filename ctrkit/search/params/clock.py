"""The seconds of a search, counted over all its resumes."""

from __future__ import annotations

import json
import time
from pathlib import Path

from ctrkit.files import write_json


class Clock:
    """Counts seconds from now on.

    Args:
        limit: Seconds after which no trial begins; None: no limit.
        before: Seconds that count already.
    """

    def __init__(self, limit: float | None, before: float = 0.0) -> None:
        self.limit, self.before = limit, before
        self.start = time.monotonic()

    def seconds(self) -> float:
        """Return the seconds so far."""
        return self.before + time.monotonic() - self.start

    def over(self) -> bool:
        """Return whether no trial may begin any more."""
        return self.limit is not None and self.seconds() >= self.limit

    def tick(self) -> None:
        """Save the seconds, if they are saved."""


class SavedClock(Clock):
    """A clock whose seconds are kept in a file, so that a resumed search continues to count.

    Args:
        path: ``clock.json``.
        limit: Seconds after which no trial begins; None: no limit.
    """

    def __init__(self, path: Path, limit: float | None) -> None:
        self.path = path
        before = 0.0
        if path.is_file():
            before = float(json.loads(path.read_text(encoding="utf-8"))["seconds"])
        super().__init__(limit, before)

    def tick(self) -> None:
        """Save the seconds."""
        write_json(self.path, {"seconds": self.seconds()})
