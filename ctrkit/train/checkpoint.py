"""One file with the whole state of a training run, replaced atomically."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch

from ctrkit.errors import RunFolderError

FORMAT = 1


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Replace ``folder/state.pt``; a kill at any moment leaves the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / "state.pt.new"
    with beside.open("wb") as file:
        torch.save({"format": FORMAT, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / "state.pt")
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)  # the rename itself is on disk only after this
    finally:
        os.close(handle)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read the state on the CPU, or None where there is no checkpoint; runs no code of the file.

    Raises:
        RunFolderError: The file is damaged or of another format.
    """
    path = folder / "state.pt"
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise RunFolderError(f"{path} cannot be read ({error}); --force starts over") from error
    if state.get("format") != FORMAT:
        raise RunFolderError(f"{path} has format {state.get('format')}, not {FORMAT}; use --force")
    return state


def remove_checkpoint(folder: Path) -> None:
    """Remove the checkpoint, where there is one."""
    shutil.rmtree(folder, ignore_errors=True)
