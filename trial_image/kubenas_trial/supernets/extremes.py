"""The smallest and the largest architecture of a space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from random import Random
from typing import Final

from kubenas.space.base import TRIES, Architecture, Space, Value
from kubenas_trial.supernets.covering import is_ordered, values_of
from kubenas_trial.supernets.networks import Networks

# Architectures that a climb begins from the best of, where constraints exclude the obvious one.
_DRAWN: Final = 32


def extremes(space: Space, networks: Networks) -> tuple[Architecture, Architecture]:
    """The architectures with the fewest and with the most parameters that the constraints allow, as far as is found.

    From one with all ordered decisions at an end each decision in turn takes the value that is best, until none is
    better: exact where decisions do not depend on each other.
    """
    size = cache(networks.size)
    return _climb(space, lambda each: -size(each), 0), _climb(space, size, -1)


def allowed(space: Space, decided: Mapping[str, Value], rng: Random) -> Architecture | None:
    """An architecture with the decided values, the rest drawn, that the constraints allow; None where none is found."""
    for _ in range(TRIES):
        if space.allows(architecture := space.complete(decided, rng)):
            return architecture
    return None


def _climb(space: Space, score: Callable[[Architecture], float], end: int) -> Architecture:
    rng = Random(0)
    ends = {each.name: values_of(each)[end] for each in space.decisions.values() if is_ordered(each)}
    best = allowed(space, ends, rng) or max((space.sample(rng) for _ in range(_DRAWN)), key=score)
    better = True
    while better:
        better = False
        for decision in space.decisions.values():
            if decision.name not in best:
                continue
            values = values_of(decision)
            for value in values[:: max(1, len(values) - 1)] if is_ordered(decision) else values:
                other = space.complete({**ends, **best, decision.name: value}, Random(0))
                if space.allows(other) and score(other) > score(best):
                    best, better = other, True
    return best
