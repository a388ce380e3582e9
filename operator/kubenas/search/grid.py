"""Grid search."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from random import Random
from typing import Final
from weakref import WeakKeyDictionary

from kubenas.search.base import History, Strategy
from kubenas.search.unseen import LISTED, draw_unseen
from kubenas.space.base import Architecture, Space, Value
from kubenas.space.domains import Choice, Domain, Float, Ordinal

# The finest grid that a number is divided by; 2 ** 20 + 1 values tell apart more than any trainer does.
FINEST: Final = 20


class GridSearch(Strategy):
    """Goes through a grid of the space, coarse to fine, in strides that spread early trials over all of it.

    Small finite spaces are gone through whole. Where a space is unbounded or has more than can be listed, a decision
    whose values are in order has its ends first, then the middle between, and so on; that is one grid after another,
    each twice as fine, so no number of points needs to be chosen in advance. Values without order are all there from
    the first.
    """

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        self._listed: list[Architecture] = []
        self._order = self._points()
        # How far each history has been through the list: what was proposed stays so.
        self._indices: WeakKeyDictionary[History, int] = WeakKeyDictionary()

    def next(self, history: History, rng: Random) -> Architecture | None:
        """The first of the grid that was not proposed before."""
        size = self.space.size()
        if size is not None and history.distinct >= size:
            return None
        index = self._indices.get(history, 0)
        while (point := self._point(index)) is not None and history.seen(point):
            index += 1
        self._indices[history] = index
        return point or draw_unseen(self.space, history, rng)

    def _point(self, index: int) -> Architecture | None:
        while index >= len(self._listed):
            point = next(self._order, None)
            if point is None:
                return None
            self._listed.append(point)
        return self._listed[index]

    def _points(self) -> Iterator[Architecture]:
        size = self.space.size()
        if size is not None and size <= LISTED:
            yield from _strided(list(self.space.enumerate()), self.seed)
        else:
            for level in range(FINEST):
                yield from _level(self.space, level, Random(f"{self.seed}/{level}"))


def _strided(listed: list[Architecture], seed: int) -> Iterator[Architecture]:
    """All of a list, in steps of a share of its length that goes through it once."""
    rng = Random(seed)
    step = max(1, round(len(listed) * (0.38 + 0.001 * rng.random())))
    while gcd(step, len(listed)) > 1:
        step += 1
    start = rng.randrange(len(listed))
    for number in range(len(listed)):
        yield listed[(start + number * step) % len(listed)]


def _level(space: Space, level: int, rng: Random) -> Iterator[Architecture]:
    """The grid of one fineness, from a corner that is drawn; at most `LISTED` points, drawn where there are more."""
    axes = {decision.name: _values(decision.domain, level) for decision in space.decisions.values()}
    total = 1
    for values in axes.values():
        total *= len(values)
    start = rng.randrange(total)
    step = 1 if total == 1 else rng.randrange(1, total)
    while gcd(step, total) > 1:
        step += 1
    for number in range(min(total, LISTED)):
        rest = (start + number * step) % total
        chosen: dict[str, Value] = {}
        for name, values in axes.items():
            rest, index = divmod(rest, len(values))
            chosen[name] = values[index]
        architecture = space.complete(chosen, rng)
        if space.allows(architecture):
            yield architecture


def _values(domain: Domain, level: int) -> list[Value]:
    """Values even on a domain's scale: 2 at level 0, 3 at 1, 5 at 2; all where it has fewer, or has no order."""
    size = domain.size()
    points = 2**level + 1
    if isinstance(domain, Float):
        return list(dict.fromkeys(domain.at_share(index / (points - 1)) for index in range(points)))
    unordered = isinstance(domain, Choice) and not isinstance(domain, Ordinal)
    if size is None or size <= points or unordered:
        return [domain.at(index) for index in range(size or 1)]
    return [domain.at(round(index * (size - 1) / (points - 1))) for index in range(points)]
