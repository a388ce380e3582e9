"""What the predictor learns from results: a model for each thing that it asks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING

import moocore
import numpy as np

from kubenas.search.normal_scores import normal_scores
from kubenas.search.surrogate import Surrogate, without_outliers
from kubenas.search.transfer import PriorMean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kubenas.search.base import Observation
    from kubenas.search.encoding import Encoder, Matrix
    from kubenas.space.base import Architecture


class Models:
    """Models of results, each fitted when it is first asked for.

    Args:
        encoder: of their architectures.
        observations: at least one, all with a score.
        seed: of the models.
        earlier: models of earlier results, the prior means of these.

    Attributes:
        known: the observations, the best first.
    """

    def __init__(
        self, encoder: Encoder, observations: Sequence[Observation], seed: int, earlier: Models | None = None
    ) -> None:
        self.known = sorted(observations, key=attrgetter("known_score"), reverse=True)
        self._encoder = encoder
        self._seed = seed
        self._earlier = earlier

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """The objectives, (observations, objectives)."""
        return np.array([observation.objectives for observation in self.known])

    @cached_property
    def units(self) -> NDArray[np.float64]:
        """The objectives from 0, their worst value, to 1, their best."""
        low, high = self.values.min(axis=0), self.values.max(axis=0)
        units: NDArray[np.float64] = (self.values - low) / np.where(high > low, high - low, 1.0)
        return units

    @cached_property
    def feasible(self) -> NDArray[np.float64]:
        """1 for each observation within the limits, 0 for the others."""
        return np.array([float(observation.feasible) for observation in self.known])

    @cached_property
    def normal_scores(self) -> NDArray[np.float64]:
        """The scores, limits included, as quantiles of the standard normal; the greatest first."""
        return normal_scores([observation.known_score for observation in self.known])

    @cached_property
    def score(self) -> Surrogate:
        """Of the normal scores."""
        return self._fitted(self.normal_scores, self._earlier.score if self._earlier else None)

    @cached_property
    def objectives(self) -> list[Surrogate]:
        """One for each objective, in its units."""
        priors = self._earlier.objectives if self._earlier else [None] * self.units.shape[1]
        return [
            self._fitted(without_outliers(column), prior) for column, prior in zip(self.units.T, priors, strict=True)
        ]

    @cached_property
    def limits(self) -> Surrogate | None:
        """Of what is within the limits; None where all is."""
        prior = self._earlier.limits if self._earlier else None
        if prior is None and self.feasible.min() == 1.0:
            return None
        return self._fitted(self.feasible, prior, same_scale=True)

    @property
    def architectures(self) -> list[Architecture]:
        """Those of the observations, the best first."""
        return [observation.architecture for observation in self.known]

    def front_first(self) -> list[Architecture]:
        """The architectures, those of the Pareto front before the others."""
        front = moocore.is_nondominated(self.values, maximise=True)
        indices = [*np.flatnonzero(front), *np.flatnonzero(~front)]
        return [self.known[index].architecture for index in indices]

    @cached_property
    def _blocks(self) -> Sequence[Matrix]:
        return self._encoder.blocks(self.architectures)

    def _fitted(self, scores: NDArray[np.float64], prior: Surrogate | None, *, same_scale: bool = False) -> Surrogate:
        if prior is None:
            return Surrogate(self._blocks, scores, self._seed)
        mean = PriorMean(prior, self._blocks, scores, same_scale=same_scale)
        return Surrogate(self._blocks, mean.residuals, self._seed, mean)
