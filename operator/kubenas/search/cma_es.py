"""CMA-ES: evolution of a normal distribution."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

import numpy as np
from cmaes import CMA, get_warm_start_mgd
from numpy.typing import NDArray
from pydantic import Field

from kubenas.api.base import Model
from kubenas.search.base import History, Observation, Strategy
from kubenas.search.points import architecture_at
from kubenas.search.scalarize import scalarized
from kubenas.search.unseen import first_unseen
from kubenas.space.base import Architecture, Space
from kubenas.space.domains import Number

# Points of the distribution before one that was proposed before is mutated.
ASKED: Final = 32
# Earlier results, of which the best tenth is at least one.
FEWEST: Final = 10


class CMAESSettings(Model):
    """Settings of CMA-ES."""

    sigma: float = Field(default=0.25, gt=0.0, le=1.0, description="First step size, in units of a decision's range.")


class CMAES(Strategy):
    """Draws from a normal distribution that each generation of results moves, stretches and turns.

    Hansen & Ostermeier 2001; Hansen, arXiv:1604.00772; computed by the package `cmaes` (arXiv:2402.01373), as in
    Optuna's sampler. It is made for numbers; a choice is the part of its range that a number lies in. Results are
    counted in order of ending, whoever's generation they were proposed in, so that no worker waits; failures count as
    worse than all. With several objectives each generation has weights of its own.

    Where at least ten earlier results are known, the first distribution is that of the best tenth of them, whatever
    their scale (Nomura et al., "Warm Starting CMA-ES for Hyperparameter Optimization", AAAI 2021, arXiv:2012.06932).
    """

    def __init__(self, space: Space, seed: int, settings: CMAESSettings) -> None:
        super().__init__(space, seed)
        self.settings = settings
        self._forget(())

    def _forget(self, earlier: Sequence[Observation]) -> None:
        self._earlier = earlier
        # The results that were there when it last learnt, and how many of them were in whole generations.
        self._seen: Sequence[Observation] = []
        self._told = 0
        # the package knows no distribution over one number
        dimensions = max(2, len(self.space.decisions))
        mean, sigma, covariance = np.full(dimensions, 0.5), self.settings.sigma, None
        if len(earlier) >= FEWEST:
            mean, sigma, covariance = self._distribution(earlier)
        self._optimizer = CMA(
            mean=mean,
            sigma=sigma,
            bounds=np.tile([0.0, 1.0], (dimensions, 1)),
            seed=self.seed % 2**32,
            cov=covariance,
        )

    def _distribution(
        self, earlier: Sequence[Observation]
    ) -> tuple[NDArray[np.float64], float, NDArray[np.float64] | None]:
        """Mean, step size and covariance of the best of the earlier results."""
        scores = scalarized(earlier, Random(f"{self.seed}/earlier"))
        order = sorted(range(len(earlier)), key=scores.__getitem__, reverse=True)[: len(earlier) // FEWEST]
        points = [(_point(self.space, earlier[index].architecture), 0.0) for index in order]
        mean, sigma, covariance = get_warm_start_mgd(points, gamma=1.0)
        # The package's determinant is too small for a number where there are hundreds of decisions.
        if not (sigma > 0.0 and np.isfinite(covariance).all()):
            return mean, self.settings.sigma, None
        return mean, sigma, covariance

    def next(self, history: History, rng: Random) -> Architecture | None:
        """One architecture that was not proposed before, or None where there is none left."""
        space = self.space
        self._tell(space, history)
        self._optimizer.reseed_rng(rng.randrange(2**31))
        asked = (architecture_at(space, self._optimizer.ask().tolist()) for _ in range(ASKED))
        return first_unseen(space, history, rng, asked, ASKED)

    def _tell(self, space: Space, history: History) -> None:
        if self._earlier != history.earlier or self._seen != history.ended[: len(self._seen)]:
            self._forget(history.earlier)
        size = self._optimizer.population_size
        for count in history.learnt_at(len(self._seen), len(history.ended)):
            observations = history.first(count)
            while count - self._told >= size:
                self._tell_generation(space, observations[self._told : self._told + size])
            self._seen = history.ended[:count]

    def _tell_generation(self, space: Space, generation: Sequence[Observation]) -> None:
        self._told += len(generation)
        scored = [observation for observation in generation if observation.score is not None]
        scores = scalarized(scored, Random(f"{self.seed}/{self._told}"))
        order = sorted(range(len(scored)), key=scores.__getitem__, reverse=True)
        ranks = {scored[index].architecture: float(rank) for rank, index in enumerate(order)}
        failed = float(len(generation))
        self._optimizer.tell(
            [(_point(space, one.architecture), ranks.get(one.architecture, failed)) for one in generation]
        )


def _point(space: Space, architecture: Architecture) -> NDArray[np.float64]:
    """Where an architecture lies; in the middle of what is switched off."""
    shares = [0.5] * max(2, len(space.decisions))
    for index, decision in enumerate(space.decisions.values()):
        if decision.name not in architecture:
            continue
        value, domain = architecture[decision.name], decision.domain
        if isinstance(domain, Number):
            shares[index] = domain.encode(value)[0]
        else:
            size = domain.size() or 1
            shares[index] = (next(n for n in range(size) if domain.at(n) == value) + 0.5) / size
    return np.array(shares)
