"""The learning curves of a stage, with the orders that schedulers compare them by."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar, overload

from kubenas.fidelity.base import RungCurve, Training

T = TypeVar("T")
D = TypeVar("D")

# What a curve is compared by, by group: in each it has one place. Equal ones file alike.
Filing: TypeAlias = Callable[[Training, RungCurve], Mapping[Hashable, T]]


class Ordered(Sequence[T], Generic[T]):
    """Values in ascending order."""

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._derived: dict[Callable[[Sequence[T]], Any], Any] = {}

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        """One by its place, or several."""
        found: T | list[T] = self._values[index]
        return found

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[T]:
        return iter(self._values)

    def add(self, value: T) -> None:
        """Put one in its place."""
        insort(self._values, value)
        self._derived.clear()

    def remove(self, value: T) -> None:
        """Take one away that is there."""
        del self._values[bisect_left(self._values, value)]
        self._derived.clear()

    def derived(self, make: Callable[[Sequence[T]], D]) -> D:
        """What follows from all of them, worked out once until one changes."""
        if make not in self._derived:
            self._derived[make] = make(self._values)
        found: D = self._derived[make]
        return found


class RungCurves(Mapping[Training, RungCurve]):
    """The curves of a stage's candidates.

    Orders are made when they are first asked for, and then kept as one curve after another changes: so a decision takes
    as long as what has changed, not as all that there is. They follow from the curves alone, in whatever order these
    came.
    """

    def __init__(self, curves: Mapping[Training, RungCurve] | None = None) -> None:
        self._curves = {one: curve for one, curve in (curves or {}).items() if curve}
        self._orders: dict[Filing[Any], dict[Hashable, Ordered[Any]]] = {}

    def __getitem__(self, training: Training) -> RungCurve:
        return self._curves[training]

    def __len__(self) -> int:
        return len(self._curves)

    def __iter__(self) -> Iterator[Training]:
        return iter(self._curves)

    def put(self, training: Training, curve: RungCurve) -> None:
        """Take in a curve in place of the one before; an empty one is none."""
        before = self._curves.pop(training, {})
        if curve:
            self._curves[training] = curve
        if curve != before:
            for filing, groups in self._orders.items():
                _refile(groups, filing(training, before), filing(training, curve))

    def order(self, filing: Filing[T]) -> Mapping[Hashable, Ordered[T]]:
        """By group, what all curves are compared by there; a group that has none may be missing."""
        groups = self._orders.get(filing)
        if groups is None:
            groups = self._orders[filing] = {}
            for training, curve in self._curves.items():
                _refile(groups, {}, filing(training, curve))
        return groups


def _refile(
    groups: dict[Hashable, Ordered[Any]], before: Mapping[Hashable, Any], after: Mapping[Hashable, Any]
) -> None:
    for group, value in before.items():
        if group not in after or after[group] != value:
            groups[group].remove(value)
    for group, value in after.items():
        if group not in before or before[group] != value:
            groups.setdefault(group, Ordered()).add(value)
