"""Read ahead of the caller in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

T = TypeVar("T")
_POLL_S = 0.05  # how often the thread of a full queue looks whether it should stop


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    pass


def read_ahead(items: Iterator[T], size: int) -> Generator[T, None, None]:
    """Yield the items of an iterator that a thread runs; at most ``size`` wait.

    Exceptions are raised in the caller. Closing this generator stops the thread.

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
                waiting.put(item, timeout=_POLL_S)
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
        if isinstance(items, Generator):
            items.close()
