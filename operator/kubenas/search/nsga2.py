"""NSGA-II: evolution towards the whole Pareto front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from pydantic import Field

from kubenas.api.base import Model
from kubenas.search.base import History, Observation, Strategy
from kubenas.search.earlier import draw_first
from kubenas.search.fronts import ranked
from kubenas.search.unseen import first_unseen
from kubenas.space.base import Architecture, Space

# Children of one pair of parents before a mutation of one of them, walked further, is taken.
CHILDREN: Final = 16


class NSGA2Settings(Model):
    """Settings of NSGA-II."""

    population_size: int = Field(default=30, ge=2, le=10_000, description="How many of the results survive as parents.")
    mutation_probability: float = Field(
        default=0.5, ge=0.0, le=1.0, description="Chance that a child of two parents is mutated too."
    )


class NSGA2(Strategy):
    """Crosses the results of the first Pareto fronts, of one front those with the greatest crowding distance.

    Deb, Pratap, Agarwal, Meyarivan: "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE Transactions
    on Evolutionary Computation 2002. In its steady-state form, so that no worker waits for a generation: each proposal
    is a child of the best `populationSize` of all results. What breaks limits is dominated by what breaks them less.

    The first population is of the best earlier results, judged again: only own values, which are on one scale, are
    ever compared.
    """

    def __init__(self, space: Space, seed: int, settings: NSGA2Settings) -> None:
        super().__init__(space, seed)
        self.settings = settings
        # The results gone through so far, and which of them survive, the best first.
        self._known: Sequence[Observation] = []
        self._population: list[int] = []

    def next(self, history: History, rng: Random) -> Architecture | None:
        """One architecture that was not proposed before, or None where there is none left."""
        if len(history.scored) < 2 or history.unfailed < self.settings.population_size:
            return draw_first(self.space, history, rng)
        parents = self._parents(history)
        return first_unseen(self.space, history, rng, self._children(parents, history, rng), CHILDREN)

    def _children(self, parents: Sequence[Architecture], history: History, rng: Random) -> Iterator[Architecture]:
        for _ in range(CHILDREN):
            child = self.space.crossover(_winner(parents, rng), _winner(parents, rng), rng)
            mutates = rng.random() < self.settings.mutation_probability or history.seen(child)
            yield self.space.mutate(child, rng) if mutates else child

    def _parents(self, history: History) -> list[Architecture]:
        """The survivors after all results in their order, the best first; only new ones are gone through."""
        ended = history.ended_scored
        if self._known != ended[: len(self._known)]:
            self._known, self._population = [], []
        for count in history.learnt_at(len(self._known), len(ended)):
            scored = history.first_scored(count)
            for number in range(len(self._known), count):
                others = [*self._population, number]
                order = ranked([scored[one] for one in others])
                self._population = [others[index] for index in order[: self.settings.population_size]]
            self._known = ended[:count]
        return [ended[number].architecture for number in self._population]


def _winner(parents: Sequence[Architecture], rng: Random) -> Architecture:
    """The better of two drawn parents."""
    return parents[min(rng.randrange(len(parents)), rng.randrange(len(parents)))]
