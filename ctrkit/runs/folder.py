"""The run folder: what it may hold, and whose it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ctrkit.config.sections import RunConfig
from ctrkit.errors import RunFolderError
from ctrkit.schema import Schema

PARTS = (
    "config.json",
    "schema.toml",
    "layout.json",
    "encoder",
    "dataset.json",
    "model.safetensors",
    "plugins",
    "metrics.jsonl",
    "record.json",
    "predictions",
    "report.html",
    "tracking.json",
    "checkpoint",
    "explain.json",
)
"""What a run folder may hold; ``--force`` removes these and nothing else."""


def claim(
    folder: Path, config: RunConfig, schema: Schema, fingerprint: str, *, force: bool
) -> bool:
    """Decide whether a folder may be written; return True where the same run is finished there.

    A folder that holds the same, unfinished run is gone on with.

    Raises:
        RunFolderError: It holds another run (``--force`` replaces it) or files of no run.
    """
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"the output {str(folder)!r} is a file; name a folder with -o")
    present = sorted(p.name for p in folder.iterdir()) if folder.exists() else []
    foreign = [name for name in present if name not in PARTS]
    if foreign:
        raise RunFolderError(
            f"the folder {str(folder)!r} holds files that are no run's ({foreign[0]!r}); "
            "name another with -o"
        )
    if force:
        for name in present:
            part = folder / name
            shutil.rmtree(part) if part.is_dir() else part.unlink()
        return False
    if not present or _same_run(folder, config, schema, fingerprint):
        return (folder / "record.json").is_file()
    raise RunFolderError(
        f"the folder {str(folder)!r} holds another run; name another with -o, "
        "or replace it with --force"
    )


def _same_run(folder: Path, config: RunConfig, schema: Schema, fingerprint: str) -> bool:
    try:
        old = RunConfig.model_validate_json((folder / "config.json").read_text(encoding="utf-8"))
        facts = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        same_schema = Schema.load(folder / "schema.toml") == schema
    except (OSError, ValueError):
        return False
    return old.sha256() == config.sha256() and same_schema and facts["source"] == fingerprint
