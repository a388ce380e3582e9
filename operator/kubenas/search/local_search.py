"""Local search."""

from __future__ import annotations

from random import Random
from weakref import WeakKeyDictionary

from pydantic import Field

from kubenas.api.base import Model
from kubenas.search.base import History, Strategy
from kubenas.search.earlier import draw_first
from kubenas.search.scalarize import scalarized
from kubenas.search.unseen import draw_unseen
from kubenas.space.base import Architecture, Space


class LocalSearchSettings(Model):
    """Settings of local search."""

    initial: int = Field(default=10, ge=1, le=10_000, description="Architectures drawn evenly before the first step.")


class LocalSearch(Strategy):
    """Tries the neighbours of the best architecture, and of the next best where it has none left.

    White, Nolen, Savani: "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021, arXiv:2005.02960.
    Where the paper waits for a whole neighbourhood and starts anew from a draw at a local optimum, this moves on as
    soon as a neighbour is better, and goes back to the best architecture that still has neighbours to try; that keeps
    any number of workers busy.

    In place of the first draws it judges the best earlier architectures again: where it begins is chosen by own scores.
    """

    def __init__(self, space: Space, seed: int, settings: LocalSearchSettings) -> None:
        super().__init__(space, seed)
        self.settings = settings
        self._neighbours: dict[Architecture, list[Architecture]] = {}
        # Those with nothing left to try beside them, for each history: that stays so, as a history only grows.
        self._exhausted: WeakKeyDictionary[History, set[Architecture]] = WeakKeyDictionary()

    def next(self, history: History, rng: Random) -> Architecture | None:
        """One architecture that was not proposed before, or None where there is none left."""
        if not history.scored or history.unfailed < self.settings.initial:
            return draw_first(self.space, history, rng)
        scores = scalarized(history.scored, rng)
        exhausted = self._exhausted.setdefault(history, set())
        scored = history.scored
        indices = [index for index, one in enumerate(scored) if one.architecture not in exhausted]
        # Mostly the first one has some left, so that to sort them all would take longer.
        while indices:
            index = max(indices, key=scores.__getitem__)
            architecture = scored[index].architecture
            left = [n for n in self._around(architecture) if not history.seen(n)]
            if left:
                return rng.choice(left)
            exhausted.add(architecture)
            indices.remove(index)
        return draw_unseen(self.space, history, rng)

    def _around(self, architecture: Architecture) -> list[Architecture]:
        found = self._neighbours.get(architecture)
        if found is None:
            found = self._neighbours[architecture] = self.space.neighbours(architecture)
        return found
