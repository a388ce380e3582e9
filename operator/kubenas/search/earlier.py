"""Earlier results: the best of them as a first population, and those that a model or a service is told of."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final
from weakref import WeakKeyDictionary

from kubenas.search.base import History, Observation
from kubenas.search.unseen import draw_unseen
from kubenas.space.base import Architecture, Space

# Earlier results in order for each history, whose own never change.
_ORDERED: Final[WeakKeyDictionary[History, Sequence[Observation]]] = WeakKeyDictionary()


def draw_first(space: Space, history: History, rng: Random) -> Architecture | None:
    """A member of the first population: the best earlier architecture not proposed yet, else a draw.

    It is judged again, so that a population never mixes scores of different scales.
    """
    for observation in best_earlier(history):
        if not history.seen(observation.architecture):
            return observation.architecture
    return draw_unseen(space, history, rng)


def best_earlier(history: History) -> Sequence[Observation]:
    """The earlier results, the best first and the first of equals; with several objectives front by front."""
    ordered = _ORDERED.get(history)
    if ordered is None:
        ordered = _ORDERED[history] = _best_first(history.earlier)
    return ordered


def representative(observations: Sequence[Observation], count: int) -> Sequence[Observation]:
    """At most so many results, the best half of them and the others spread evenly over the rest, in their order."""
    if len(observations) <= count:
        return observations
    order = sorted(range(len(observations)), key=lambda index: observations[index].known_score, reverse=True)
    best, rest = order[: count // 2], order[count // 2 :]
    others = count - len(best)
    spread = [rest[number * len(rest) // others] for number in range(others)]
    return [observations[index] for index in sorted([*best, *spread])]


def _best_first(observations: Sequence[Observation]) -> Sequence[Observation]:
    if observations and len(observations[0].objectives) > 1:
        from kubenas.search.fronts import ranked  # noqa: PLC0415 - numpy and moocore take long to import

        return [observations[index] for index in ranked(observations)]
    return sorted(observations, key=lambda one: one.known_score, reverse=True)
