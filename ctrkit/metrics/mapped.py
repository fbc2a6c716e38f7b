"""Arrays of held-out rows that do not claim memory: long ones lie in an unnamed temporary file."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt

IN_MEMORY_ROWS = 1 << 17
"""Shorter arrays are ordinary ones."""


def mapped_empty(rows: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an uninitialised array (rows,); a long one is mapped from a temporary file.

    The operating system writes such pages out when it needs the memory. The file has no name
    (it lies where ``TMPDIR`` says) and goes with the array.

    Raises:
        OSError: The disk is full.
    """
    if rows < IN_MEMORY_ROWS:
        return np.empty(rows, dtype)
    size = rows * np.dtype(dtype).itemsize
    with tempfile.TemporaryFile() as file:
        if hasattr(os, "posix_fallocate"):  # a full disk is an error here, not a signal later
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return np.memmap(file, dtype, "r+", shape=(rows,))
