"""The configuration of the run."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ctrkit.report.run.files import RunFiles
from ctrkit.report.summary import Table

SECTIONS = ("model", "train", "data")


def configuration(run: RunFiles) -> Iterator[Table]:
    """Yield the table of configuration keys that have a value."""
    rows = []
    for section in SECTIONS:
        for key, value in sorted(run.config[section].items()):
            if value is not None:
                text = json.dumps(value) if isinstance(value, dict | list) else str(value)
                rows.append([f"{section}.{key}", text])
    yield Table("Configuration", ["key", "value"], rows)
