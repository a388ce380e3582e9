"""Bayesian optimisation with a Gaussian process."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kubenas.api.base import Model
from kubenas.search.acquisition import expected_improvement
from kubenas.search.base import History, Strategy
from kubenas.search.encoding import Encoder
from kubenas.search.pool import Pool
from kubenas.search.scalarize import scalarized
from kubenas.search.surrogate import GaussianProcess, normal_scores
from kubenas.search.unseen import draw_unseen
from kubenas.space.base import Architecture, Space


class BayesianSettings(Model):
    """Settings of Bayesian optimisation."""

    initial: int = Field(default=12, ge=2, le=10_000, description="Architectures drawn evenly before the first model.")


class Bayesian(Strategy):
    """Tries what a Gaussian process expects the greatest improvement of; for spaces with numbers, and small budgets.

    Jones, Schonlau, Welch, "Efficient Global Optimization", 1998; a Matérn 5/2 kernel over the space's encodings, as
    Snoek, Larochelle, Adams, NeurIPS 2012. What is pending counts with what the process expects of it (kriging
    believer, Ginsbourger et al. 2010). The process sees normal scores, those of broken limits below all others; with
    several objectives it sees weights drawn for each result (ParEGO).
    """

    def __init__(self, space: Space, seed: int, settings: BayesianSettings) -> None:
        super().__init__(space, seed)
        self.settings = settings
        self._encoder = Encoder(space)

    def next(self, history: History, rng: Random) -> Architecture | None:
        """One architecture that was not proposed before, or None where there is none left."""
        if len(history.scored) < 2 or history.unfailed < self.settings.initial:
            return draw_unseen(self.space, history, rng)
        scores = normal_scores(scalarized(history.scored, rng))
        known = [observation.architecture for observation in history.scored]
        pending = list(history.pending)
        numbers = rng.randrange(2**31)
        process = GaussianProcess(self._encoder.blocks(known), scores, numbers)
        if pending:
            believed, _ = process.predict(self._encoder.blocks(pending))
            scores = np.concatenate([scores, believed])
            process = GaussianProcess(self._encoder.blocks([*known, *pending]), scores, numbers)
        best = float(scores.max())

        def predict(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
            mean, deviation = process.predict(self._encoder.blocks(architectures))
            return expected_improvement(mean, deviation, best)[:, None]

        order = [known[place] for place in np.argsort(-scores[: len(known)], kind="stable")]
        failures = [one.architecture for one in history.observations if one.score is None]
        pool = Pool(self.space, [*order, *pending, *failures], predict, lambda rows: rows, rng)
        if pool.architectures:
            return pool.architectures[int(np.argmax(pool.predictions[:, 0]))]
        return draw_unseen(self.space, history, rng)
