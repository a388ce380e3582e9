"""Bayesian optimisation with a Gaussian process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import norm

from kubenas.api.base import Model
from kubenas.search.acquisition import log_expected_improvement
from kubenas.search.base import History, Observation, Preparation, Strategy
from kubenas.search.encoding import Encoder
from kubenas.search.gaussian_process import Belief, GaussianProcess
from kubenas.search.pool import Pool
from kubenas.search.refits import fitted_at
from kubenas.search.scalarize import scalarized
from kubenas.search.surrogate import without_outliers
from kubenas.search.unseen import draw_unseen
from kubenas.space.base import Architecture, Space

# Candidates that are kept until the next fit, those of the greatest expected improvement.
KEPT: Final = 256
# Of those whose results are awaited, how many count: the latest.
AWAITED: Final = 128


class BayesianSettings(Model):
    """Settings of Bayesian optimisation."""

    initial: int = Field(default=12, ge=2, le=10_000, description="Architectures drawn evenly before the first model.")


@dataclass(frozen=True, slots=True)
class Fit:
    """What one fit has come to.

    Attributes:
        process: of the objective.
        candidates: the most promising.
        belief: what the process says of the candidates.
        log_chances: logarithms of their chances to have a result within the limits.
        best: of what is within the limits, on the scale of the process.
    """

    process: GaussianProcess
    candidates: Sequence[Architecture]
    belief: Belief
    log_chances: NDArray[np.float64]
    best: float


class Bayesian(Strategy):
    """Tries what a Gaussian process expects the greatest improvement of; for spaces with numbers, and small budgets.

    Jones, Schonlau, Welch, "Efficient Global Optimization", 1998; a Matérn 5/2 kernel over the space's encodings with a
    length scale for each number, as Snoek, Larochelle, Adams, NeurIPS 2012; the improvement's logarithm, as Ament et
    al., NeurIPS 2023. What is pending counts with what the process expects of it (kriging believer, Ginsbourger et al.
    2010). A second process learns what fails or breaks limits, and the improvement is weighted by the chance to do
    neither (Schonlau, Welch, Jones 1998; Gardner et al., ICML 2014); until something is within the limits, the aim is
    to come near them. With several objectives each fit sees weights of its own (ParEGO).

    Fits are as far apart as the predictor's; results that came in since the last count as pending.
    """

    def __init__(self, space: Space, seed: int, settings: BayesianSettings) -> None:
        super().__init__(space, seed)
        self.settings = settings
        self._encoder = Encoder(space)
        self._fit: tuple[Sequence[Observation], Fit | None] | None = None

    def preparation(self, history: History, count: int) -> Preparation | None:  # noqa: ARG002 - one fit serves many
        """The next fit, where one is due."""
        if not self._fits(history):
            return None
        known = history.observations[: fitted_at(len(history.observations))]
        if self._fit is not None and self._fit[0] == known:
            return None
        return Preparation(fit, (self.space, self._encoder, known, self.seed))

    def accept(self, preparation: Preparation, result: Any) -> None:
        """Take in a fit."""
        self._fit = (preparation.arguments[2], result)

    def next(self, history: History, rng: Random) -> Architecture | None:
        """One architecture that was not proposed before, or None where there is none left."""
        if preparation := self.preparation(history, 1):
            self.accept(preparation, preparation.result())
        if self._fit is not None and self._fits(history):
            known, fitted = self._fit
            awaited = [*(one.architecture for one in history.observations[len(known) :]), *history.pending]
            if fitted is not None and (first := self._first(fitted, history, awaited[-AWAITED:])) is not None:
                return first
        return draw_unseen(self.space, history, rng)

    def _fits(self, history: History) -> bool:
        return len(history.scored) >= 2 and history.unfailed >= self.settings.initial

    def _first(self, fitted: Fit, history: History, awaited: Sequence[Architecture]) -> Architecture | None:
        """The candidate of the greatest expected improvement, given that results are awaited."""
        left = [place for place, one in enumerate(fitted.candidates) if not history.seen(one)]
        if not left:
            return None
        belief, coming = fitted.belief.at(left), None
        best = fitted.best
        if awaited:
            coming = fitted.process.believe(self._encoder.blocks(awaited))
            best = max(best, float(coming.mean.max()))
        improvement = log_expected_improvement(belief.mean, fitted.process.deviation(belief, coming), best)
        return fitted.candidates[left[int(np.argmax(improvement + fitted.log_chances[left]))]]


def fit(space: Space, encoder: Encoder, observations: Sequence[Observation], seed: int) -> Fit | None:
    """Fit to the observations and find candidates: a function of its arguments; None where there is none."""
    rng = Random(f"{seed}/{len(observations)}")
    numbers = rng.randrange(2**31)
    scored = [one for one in observations if one.score is not None]
    if len(scored) < 2:
        return None
    within = any(one.feasible for one in scored)
    values = without_outliers(np.array([value if within else kept for kept, value in scalarized(scored, rng)]))
    levels = (values - values.max()) / (float(np.ptp(values)) or 1.0)
    process = GaussianProcess(encoder.blocks([one.architecture for one in scored]), levels, numbers, relevance=True)
    good = np.array([one.feasible if within else one.score is not None for one in observations])
    limits = None
    if not good.all():
        blocks = encoder.blocks([one.architecture for one in observations])
        limits = GaussianProcess(blocks, good.astype(np.float64), numbers, relevance=True)
    kept = np.array([one.feasible or not within for one in scored])
    best = float(levels[kept].max())

    def predict(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        blocks = encoder.blocks(architectures)
        mean, deviation = process.predict(blocks)
        log_chances = np.zeros(len(architectures))
        if limits:
            share, doubt = limits.predict(blocks)
            log_chances = norm.logcdf((share - 0.5) / doubt)
        return np.stack([log_expected_improvement(mean, deviation, best) + log_chances, log_chances], axis=1)

    order = [scored[place] for place in np.lexsort((-levels, ~kept))]
    pool = Pool(space, [one.architecture for one in order], predict, lambda rows: rows[:, :1], rng)
    if not pool.architectures:
        return None
    places = np.argsort(-pool.predictions[:, 0], kind="stable")[:KEPT]
    candidates = [pool.architectures[place] for place in places]
    return Fit(process, candidates, process.believe(encoder.blocks(candidates)), pool.predictions[places, 1], best)
