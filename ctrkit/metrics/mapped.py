"""Arrays that do not occupy memory: long ones are mapped from an unnamed temporary file."""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt

_RELEASED_BYTES = 1 << 22
"""Bytes that are written to a mapped column before their pages are released."""
IN_MEMORY_ROWS = 1 << 17
"""Shorter arrays are ordinary ones."""


def mapped_empty(rows: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an uninitialised array (rows,); a long one is mapped from a temporary file.

    The operating system writes such pages out when it needs the memory. The file is in ``TMPDIR``,
    has no name, and is deleted with the array.

    Raises:
        OSError: The disk is full.
    """
    if rows < IN_MEMORY_ROWS:
        return np.empty(rows, dtype)
    size = rows * np.dtype(dtype).itemsize
    with tempfile.TemporaryFile() as file:
        if sys.platform == "linux":  # a full disk is an error here, not a signal later
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return np.memmap(file, dtype, "r+", shape=(rows,))


def release(array: npt.NDArray[Any]) -> None:
    """Take the pages of a mapped array out of memory; the file keeps them. Others stay as they are.

    The pages of a shared mapping that were read count as the memory of a process until it ends.
    """
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)


class MappedColumn:
    """Rows that arrive in parts, in one growing array; a long one is kept on disk.

    Keeping many small parts instead would fragment the heap, which grows by many times their size.
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._values: npt.NDArray[Any] = np.empty(1 << 16, dtype)
        self._rows = 0
        self._absent = False
        self._written = 0

    def add(self, part: npt.NDArray[Any] | None) -> None:
        """Add rows; None: the column is absent."""
        if part is None:
            self._absent = True
            return
        stop = self._rows + len(part)
        if stop > len(self._values):
            grown = mapped_empty(max(stop, 2 * len(self._values)), self._values.dtype)
            grown[: self._rows] = self._values[: self._rows]
            self._values = grown
        self._values[self._rows : stop] = part
        self._rows = stop
        self._written += part.nbytes
        if self._written >= _RELEASED_BYTES:
            release(self._values)
            self._written = 0

    def array(self) -> Any:
        """Return the rows; None: the column is absent."""
        return None if self._absent else self._values[: self._rows]
