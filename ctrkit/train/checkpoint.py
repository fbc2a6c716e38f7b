"""One file with the whole state of a training run, replaced atomically."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch

from ctrkit.errors import RunFolderError

FORMAT = 1


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Replace ``folder/state.pt``; whenever it is killed, the old file or the new one is left.

    Raises:
        OSError: Such as a full disk; the old file is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / "state.pt.new"
    try:
        with new.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
    except Exception as error:
        new.unlink(missing_ok=True)
        cause = error.__context__  # torch's error about its archive hides that of the disk
        if isinstance(error, RuntimeError) and isinstance(cause, OSError):
            raise OSError(cause.errno, cause.strerror, str(folder / "state.pt")) from error
        raise
    new.replace(folder / "state.pt")
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)  # the rename itself is on disk only after this
    finally:
        os.close(handle)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read the state to the CPU; None if there is no checkpoint. No code of the file is run.

    Raises:
        RunFolderError: The file is damaged or has another format.
    """
    path = folder / "state.pt"
    if not path.is_file():
        return None
    try:
        _check_archive(path)  # torch does not compare the checksums of what it reads
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise RunFolderError(
            f"the checkpoint {str(path)!r} cannot be read ({error}); --force starts over"
        ) from error
    if state.get("format") != FORMAT:
        raise RunFolderError(
            f"the checkpoint {str(path)!r} must have format {FORMAT}; got {state.get('format')} "
            "(--force starts over)"
        )
    return state


def _check_archive(path: Path) -> None:
    """Refuse an archive with a file that does not have the checksum that is stored of it."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"{damaged!r} in it is damaged")


def remove_checkpoint(folder: Path) -> None:
    """Remove the checkpoint, if there is one."""
    shutil.rmtree(folder, ignore_errors=True)
