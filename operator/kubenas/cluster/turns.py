"""Turns that many take: of what they share by name, such as a namespace's requests, and of the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


# Of the event loop, before others get theirs.
_TURN_SECONDS: Final = 0.005


class Turn:
    """Work of many parts, after each of which others may have waited for long enough."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    async def shared(self) -> None:
        """Let others have their turn, if this one has taken long."""
        if time.monotonic() - self._since > _TURN_SECONDS:
            await asyncio.sleep(0)
            self._since = time.monotonic()


class Turns(Generic[T]):
    """One lock or semaphore for each name, kept for as long as somebody holds it.

    Args:
        make: makes one.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._held: WeakValueDictionary[str, T] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._held)

    def of(self, name: str) -> T:
        """That of a name; ``async with`` holds it for as long as it waits or has its turn."""
        found = self._held.get(name)
        if found is None:
            self._held[name] = found = self._make()
        return found
