"""Results in order of dominance, as in NSGA-II (Deb, Pratap, Agarwal, Meyarivan 2002)."""

from __future__ import annotations

from collections.abc import Sequence

import moocore

from kubenas.search.base import Observation


def ranked(observations: Sequence[Observation]) -> list[int]:
    """Indices of the observations, by front and then by crowding distance: the best first, the earliest of equals."""
    ordered: list[int] = []
    for front in fronts(observations):
        distances = _crowding([observations[index].objectives for index in front])
        ordered += [
            index for _, index in sorted(zip(distances, front, strict=True), key=lambda pair: (-pair[0], pair[1]))
        ]
    return ordered


def fronts(observations: Sequence[Observation]) -> list[list[int]]:
    """Indices of the observations in fronts: none of a front is dominated but by those of fronts before it.

    What breaks limits less dominates what breaks them more; what breaks them as much is compared by its objectives.
    """
    alike: dict[float, list[int]] = {}
    for index, observation in enumerate(observations):
        if observation.score is None:
            raise ValueError("only candidates with a score are compared")
        alike.setdefault(observation.score[0], []).append(index)
    found: list[list[int]] = []
    for violation in sorted(alike, reverse=True):
        indices = alike[violation]
        ranks = moocore.pareto_rank([observations[index].objectives for index in indices], maximise=True).tolist()
        layers: list[list[int]] = [[] for _ in range(max(ranks) + 1)]
        for index, rank in zip(indices, ranks, strict=True):
            layers[rank].append(index)
        found += layers
    return found


def _crowding(points: Sequence[tuple[float, ...]]) -> list[float]:
    """Crowding distance of each point of a front: the sides of the box up to its neighbours, infinite at the ends."""
    distances = [0.0] * len(points)
    for objective in range(len(points[0])):
        order = sorted(range(len(points)), key=lambda index: points[index][objective])
        spread = points[order[-1]][objective] - points[order[0]][objective]
        distances[order[0]] = distances[order[-1]] = float("inf")
        for before, index, after in zip(order, order[1:], order[2:], strict=False):
            if spread > 0:
                distances[index] += (points[after][objective] - points[before][objective]) / spread
    return distances
