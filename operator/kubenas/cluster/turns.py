"""Locks and the like that many share by name, such as those of a namespace: kept for as long as somebody holds one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class Turns(Generic[T]):
    """One lock or semaphore for each name.

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
