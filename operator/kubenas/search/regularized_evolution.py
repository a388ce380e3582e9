"""Regularized (aging) evolution."""

from __future__ import annotations

from random import Random
from typing import Final

from pydantic import Field, model_validator

from kubenas.api.base import Model
from kubenas.api.errors import SpecError
from kubenas.search.base import History, Strategy
from kubenas.search.earlier import draw_first
from kubenas.search.scalarize import scalarized
from kubenas.search.unseen import first_unseen
from kubenas.space.base import Architecture, Space

# Mutations of one parent, then steps of a walk away from it, before a random architecture is drawn.
MUTATIONS: Final = 16


class RegularizedEvolutionSettings(Model):
    """Settings of regularized evolution.

    The defaults are those of the NAS-Bench-201 paper, made for some hundreds of trials. Real et al. used a
    population of 100 and a sample of 25 for 20,000.
    """

    population_size: int = Field(
        default=10, ge=2, le=10_000, description="How many of the latest results may become parents."
    )
    sample_size: int = Field(
        default=3, ge=1, le=10_000, description="How many of them are drawn for each proposal; the best is the parent."
    )

    @model_validator(mode="after")
    def _check(self) -> RegularizedEvolutionSettings:
        if self.sample_size > self.population_size:
            raise SpecError(
                "sampleSize", f"{self.sample_size} is greater than populationSize {self.population_size}: lower it"
            )
        return self


class RegularizedEvolution(Strategy):
    """Mutates the best of a few results drawn from the latest ones, so that old results age out.

    Real, Aggarwal, Huang, Le: "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019,
    arXiv:1802.01548. The population is the latest `populationSize` candidates that ended with a score, in order of
    ending; as in the paper's code the sample is drawn with replacement. No architecture is proposed twice: a
    mutation that was proposed before is drawn again, then mutated further. With several objectives, a parent is the
    best by weights drawn for its proposal.

    The first population is of the best earlier architectures, judged again: scores on another scale are never compared
    with own ones. They are the oldest, so they age out first.
    """

    def __init__(self, space: Space, seed: int, settings: RegularizedEvolutionSettings) -> None:
        super().__init__(space, seed)
        self.settings = settings

    def next(self, history: History, rng: Random) -> Architecture | None:
        """One architecture that was not proposed before, or None where there is none left."""
        if not history.scored or history.unfailed < self.settings.population_size:
            return draw_first(self.space, history, rng)
        parent = self._parent(history, rng)
        asked = (self.space.mutate(parent, rng) for _ in range(MUTATIONS))
        return first_unseen(self.space, history, rng, asked, MUTATIONS, start=parent)

    def _parent(self, history: History, rng: Random) -> Architecture:
        population = history.scored[-self.settings.population_size :]
        scores = scalarized(population, rng)
        sample = [rng.randrange(len(population)) for _ in range(self.settings.sample_size)]
        return population[max(sample, key=scores.__getitem__)].architecture
