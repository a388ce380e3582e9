"""Candidates for a surrogate to choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kubenas.space.base import Architecture, Space

DRAWN: Final = 500
# Observations whose neighbours are candidates from the start.
PARENTS: Final = 10
# Then the neighbours of so many candidates with the best predictions are added, in so many rounds.
ROUNDS: Final = 2
PROMISING: Final = 12
# Neighbours of one architecture; a space of many decisions has hundreds.
NEIGHBOURS: Final = 40


class Pool:
    """Architectures that were not observed: drawn ones, and those near what was or is predicted to be good.

    Attributes:
        architectures: each once by key.
        predictions: what the model says of each, a row each.
    """

    def __init__(
        self,
        space: Space,
        observed: Sequence[Architecture],
        predict: Callable[[Sequence[Architecture]], NDArray[np.float64]],
        promise: Callable[[NDArray[np.float64]], NDArray[np.float64]],
        rng: Random,
        earlier: Sequence[Architecture] = (),
        only: Sequence[Architecture] = (),
    ) -> None:
        """Make the pool.

        Args:
            space: to draw from.
            observed: the best first; none of them becomes a candidate.
            predict: gives a row for each architecture.
            promise: turns such rows into columns; in every one greater is more promising.
            rng: of the draws.
            earlier: architectures of earlier results, the best first: the best and those near them are candidates too.
            only: where there are any, the candidates are these and no others.
        """
        self._space = space
        self._keys = {space.key(architecture) for architecture in observed}
        self._rng = rng
        self._predict = predict
        self.architectures: list[Architecture] = []
        self.predictions = np.empty((0, 0))
        if only:
            self._add(only)
            return
        parents = (*observed[:PARENTS], *earlier[:PARENTS])
        near = [neighbour for parent in parents for neighbour in self._near(parent)]
        self._add([*(space.sample(rng) for _ in range(DRAWN)), *near, *earlier[:DRAWN]])
        for _ in range(ROUNDS):
            if not self.architectures:
                return
            columns = promise(self.predictions)
            best = np.argsort(-columns, axis=0, kind="stable")[: max(1, PROMISING // columns.shape[1])]
            promising = [self.architectures[index] for index in dict.fromkeys(best.ravel().tolist())]
            self._add(neighbour for parent in promising for neighbour in self._near(parent))

    def _near(self, architecture: Architecture) -> list[Architecture]:
        neighbours = self._space.neighbours(architecture)
        return neighbours if len(neighbours) <= NEIGHBOURS else self._rng.sample(neighbours, NEIGHBOURS)

    def _add(self, architectures: Iterable[Architecture]) -> None:
        new = []
        for architecture in architectures:
            key = self._space.key(architecture)
            if key not in self._keys:
                self._keys.add(key)
                new.append(architecture)
        if new:
            rows = self._predict(new)
            self.predictions = np.concatenate([self.predictions, rows]) if self.architectures else rows
            self.architectures += new
