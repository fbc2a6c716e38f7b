"""Threads: read ahead of the caller, and work on several columns at once."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
_MANY_ROWS = 16_384


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    pass


def read_ahead(items: Iterator[T], size: int) -> Generator[T, None, None]:
    """Yield the items of an iterator that a thread runs; at most ``size`` wait.

    Exceptions cross to the caller. Closing this generator stops the thread.

    Args:
        items: Used by the thread alone.
        size: At least 1.
    """
    waiting: queue.Queue[T | _Failure | _End] = queue.Queue(size)
    stop = threading.Event()
    thread = threading.Thread(
        target=_run, args=(items, waiting, stop), name="ctrkit-ahead", daemon=True
    )
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        stop.set()
        thread.join()


def _run(
    items: Iterator[T], waiting: queue.Queue[T | _Failure | _End], stop: threading.Event
) -> None:
    def put(item: T | _Failure | _End) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.05)
            except queue.Full:
                continue
            return True
        return False

    try:
        for item in items:
            if not put(item):
                break
        put(_End())
    except BaseException as error:
        put(_Failure(error))
    finally:
        close: Callable[[], None] | None = getattr(items, "close", None)
        if close is not None:
            close()


def by_column(work: Callable[[T], R], columns: Sequence[T], rows: int) -> list[R]:
    """Return the work on each column, in order; threads share it where there are many rows.

    Args:
        work: Independent of the other columns.
        columns: What is worked on.
        rows: Of each column.
    """
    if rows < _MANY_ROWS or len(columns) < 2:
        return [work(column) for column in columns]
    with ThreadPoolExecutor(min(os.cpu_count() or 1, len(columns), 8)) as pool:
        return list(pool.map(work, columns))
