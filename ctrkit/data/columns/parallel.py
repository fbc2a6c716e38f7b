"""Work on several columns at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
_MANY_ROWS = 16_384


def by_column(work: Callable[[T], R], columns: Sequence[T], rows: int) -> list[R]:
    """Return the result for each column, in order; threads share the work where rows are many.

    Args:
        work: Function of one column.
        columns: The columns, or the arguments to read them by.
        rows: Rows of each column.
    """
    if rows < _MANY_ROWS or len(columns) < 2:
        return [work(column) for column in columns]
    with ThreadPoolExecutor(min(os.cpu_count() or 1, len(columns), 8)) as pool:
        return list(pool.map(work, columns))
