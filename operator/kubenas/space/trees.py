"""How many ways there are below each value of decisions that switch others on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from kubenas.space.base import Value
    from kubenas.space.decisions import Decision


class Trees:
    """Decisions as trees: each below the one that switches it on.

    Counts are exact whole numbers, however large; a number with a fraction counts as one.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self._children: dict[str, list[Decision]] = {decision.name: [] for decision in decisions}
        for decision in decisions:
            if decision.when is not None:
                self._children[decision.when.decision].append(decision)
        self._counts: dict[str, int] = {}
        # For each decision that switches others on, its values with the number of ways up to each.
        self._upto: dict[str, list[tuple[int, Value]]] = {}
        for decision in reversed(decisions):
            self._counts[decision.name] = self._count(decision)
        self.total = prod(self._counts[decision.name] for decision in decisions if decision.when is None)

    def draw(self, decision: Decision, rng: Random) -> Value:
        """A value, by the number of ways below it."""
        upto = self._upto.get(decision.name)
        if upto is None:
            return decision.domain.sample(rng)
        drawn = rng.randrange(upto[-1][0])
        return next(value for ways, value in upto if drawn < ways)

    def _count(self, decision: Decision) -> int:
        size = decision.domain.size()
        if not self._children[decision.name] or size is None:
            return size or 1
        values = [decision.domain.at(place) for place in range(size)]
        ways = list(accumulate(self._below(decision, value) for value in values))
        self._upto[decision.name] = list(zip(ways, values, strict=True))
        return ways[-1]

    def _below(self, decision: Decision, value: Value) -> int:
        return prod(
            self._counts[child.name]
            for child in self._children[decision.name]
            if child.when is not None and value in child.when.values
        )
