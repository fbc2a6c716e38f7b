"""Files that verbs leave: refused where they would replace something, else written whole."""

from __future__ import annotations

import os
from pathlib import Path

from ctrkit.errors import CtrkitError


def refuse_existing(path: Path, *, force: bool) -> None:
    """Refuse a file that exists, or whose folder does not.

    Raises:
        CtrkitError: Says which.
    """
    if path.exists() and not force:
        raise CtrkitError(f"{str(path)!r} exists; name another file or replace it with --force")
    if not path.parent.is_dir():
        raise CtrkitError(f"the folder {str(path.parent)!r} does not exist")


def write_text(path: Path, text: str, *, force: bool) -> None:
    """Write a text file, whole or not at all; see :func:`refuse_existing`."""
    refuse_existing(path, force=force)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
