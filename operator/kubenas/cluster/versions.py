"""Which of an experiment's objects of one kind are known, and how new what is known of them is."""

from __future__ import annotations

from collections.abc import Collection


class Versions:
    """Newest known resource versions by name; kept for deleted objects, so that late events do not revive them."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}

    def newest(self, name: str) -> int | None:
        """What is known of an object; None where nothing is."""
        return self._newest.get(name)

    def put(self, name: str, version: int) -> None:
        """Note a version that an object has, or was deleted at."""
        self._newest[name] = version

    def outdates(self, name: str, version: int) -> bool:
        """Whether as new a version of an object is known."""
        return self._newest.get(name, 0) >= version

    def missing(self, names: Collection[str], at: int) -> list[str]:
        """Objects that a complete list, at resource version `at`, does not have; newer ones are not among them."""
        return [name for name, version in self._newest.items() if version <= at and name not in names]

    def forget(self, name: str) -> None:
        """An object is so long gone that nothing late will tell of it."""
        del self._newest[name]
