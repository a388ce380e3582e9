"""How long one thread may draw from a space or list it: that can take arbitrarily long, and no thread can be killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_ENDS: Final[ContextVar[float]] = ContextVar("ends", default=float("inf"))


class DeadlineError(Exception):
    """The time is over."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give what is done inside so many seconds.

    Raises:
        DeadlineError: it took longer.
    """
    token = _ENDS.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ENDS.reset(token)


def check() -> None:
    """Go on, unless the time is over.

    Raises:
        DeadlineError: it is.
    """
    if time.monotonic() > _ENDS.get():
        raise DeadlineError("the search space takes too long to draw from: make it smaller or its constraints wider")
