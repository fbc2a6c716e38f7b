"""What the report of a run reads from its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrkit.checksums import check_files
from ctrkit.errors import RunFolderError
from ctrkit.records import RETRAIN, RunRecord


@dataclass(frozen=True)
class RunFiles:
    """A finished run.

    Attributes:
        folder: Folder of the run.
        record: Its ``record.json``.
        config: Its ``config.json``, by section and key.
    """

    folder: Path
    record: RunRecord
    config: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> RunFiles:
        """Read a run folder.

        Raises:
            RunFolderError: The folder holds no ``record.json``, or a file of it is damaged.
        """
        path = folder / "record.json"
        if not path.is_file():
            raise RunFolderError(f"{str(folder)!r} is not a finished run: it has no record.json")
        check_files(folder, ["config.json"], RETRAIN)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return cls(folder, RunRecord.load(path), config)
