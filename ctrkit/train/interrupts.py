"""Ctrl-C while training: the step under way is finished first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Delays the first SIGINT to the end of work that must not be interrupted.

    Attributes:
        busy: Whether such work is under way. It stays so if the work raises, because the state
            of training is then incomplete.
    """

    def __init__(self) -> None:
        self.busy = self._pending = False

    def begin(self) -> None:
        """Begin work that must not be interrupted."""
        self.busy = True

    def end(self) -> None:
        """End it.

        Raises:
            KeyboardInterrupt: It was requested in the meantime.
        """
        self.busy = False
        if self._pending:
            raise KeyboardInterrupt

    @contextmanager
    def delayed(self) -> Iterator[None]:
        """Handle SIGINT so within the context; a second one interrupts at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)

        def handle(number: int, frame: FrameType | None) -> None:
            signal.signal(signal.SIGINT, before)
            self._pending = True
            if not self.busy:
                raise KeyboardInterrupt

        signal.signal(signal.SIGINT, handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
