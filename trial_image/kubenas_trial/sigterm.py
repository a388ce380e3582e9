"""SIGTERM, by which a trial is asked to end: its pod is deleted, preempted or moved."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Sigterm:
    """Raises SystemExit in the main thread on SIGTERM, with the exit code that fits what has been written by then.

    Attributes:
        code: 143 until the results are written, then 0.
    """

    def __init__(self) -> None:
        self.code = 143
        self._held = 0
        self._came = False
        self._previous = signal.signal(signal.SIGTERM, self._handle)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Defer SIGTERM to the end of the `with`. May be nested."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self._came and not self._held:
            raise SystemExit(self.code)

    def restore(self) -> None:
        """Restore the previous handler."""
        signal.signal(signal.SIGTERM, self._previous)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._came = True
        if not self._held:
            raise SystemExit(self.code)
