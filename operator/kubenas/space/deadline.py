"""A deadline for draws from a space in one thread: they can take arbitrarily long, and no thread can be killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_ENDS: Final[ContextVar[float]] = ContextVar("ends", default=float("inf"))


class DeadlineError(Exception):
    """The deadline has passed."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Set a deadline for what is done in this context.

    Raises:
        DeadlineError: `check` was called after the deadline.
    """
    token = _ENDS.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ENDS.reset(token)


def check() -> None:
    """Raise an error once the deadline has passed.

    Raises:
        DeadlineError: it has.
    """
    if time.monotonic() > _ENDS.get():
        raise DeadlineError("the search space takes too long to draw from: make it smaller or its constraints wider")
