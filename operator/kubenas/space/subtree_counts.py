"""How many assignments there are below each value of decisions that switch others on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from random import Random

from kubenas.space.architecture import Value
from kubenas.space.decisions import Decision


class SubtreeCounts:
    """Decisions as trees: each below the one that switches it on.

    Counts are exact whole numbers, however large; a number with a fraction counts as one.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self._children: dict[str, list[Decision]] = {decision.name: [] for decision in decisions}
        for decision in decisions:
            if decision.when is not None:
                self._children[decision.when.decision].append(decision)
        self._counts: dict[str, int] = {}
        # For each decision that switches others on, its values with the number of assignments up to each.
        self._cumulative: dict[str, list[tuple[int, Value]]] = {}
        for decision in reversed(decisions):
            self._counts[decision.name] = self._count(decision)
        self.total = prod(self._counts[decision.name] for decision in decisions if decision.when is None)

    def draw(self, decision: Decision, rng: Random) -> Value:
        """A value, by the number of assignments below it."""
        cumulative = self._cumulative.get(decision.name)
        if cumulative is None:
            return decision.domain.sample(rng)
        drawn = rng.randrange(cumulative[-1][0])
        return next(value for counts, value in cumulative if drawn < counts)

    def _count(self, decision: Decision) -> int:
        size = decision.domain.size()
        if not self._children[decision.name] or size is None:
            return size or 1
        values = [decision.domain.at(index) for index in range(size)]
        counts = list(accumulate(self._below(decision, value) for value in values))
        self._cumulative[decision.name] = list(zip(counts, values, strict=True))
        return counts[-1]

    def _below(self, decision: Decision, value: Value) -> int:
        return prod(
            self._counts[child.name]
            for child in self._children[decision.name]
            if child.when is not None and value in child.when.values
        )
