"""``metrics.jsonl``: one line per evaluation."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path


class Journal:
    """A file of JSON lines that is on disk after each of them.

    Attributes:
        path: The file.
        size: Its length in bytes after the last line.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0

    def truncate(self, size: int) -> None:
        """Truncate the file to a length, creating it if it does not exist."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.truncate(size)
        self.size = size

    def append(self, line: Mapping[str, float]) -> None:
        """Append a line; NaN and infinities become null."""
        finite = {key: value if math.isfinite(value) else None for key, value in line.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
            self.size = file.tell()
