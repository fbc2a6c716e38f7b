"""Identities of rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ctrkit.data.hashing import splitmix64
from ctrkit.data.read.chunks import Chunk

_FILE_SHIFT = 40  # rows of a file: below 2**40


def row_ids(chunk: Chunk) -> npt.NDArray[np.uint64]:
    """Return ``(n,)`` identities of rows: a bijection of file ordinal and row number."""
    rows = np.arange(chunk.first_row, chunk.first_row + chunk.frame.height, dtype=np.uint64)
    return splitmix64(rows | np.uint64(chunk.file << _FILE_SHIFT))
