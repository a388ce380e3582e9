"""Bayesian optimisation with a Gaussian process."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from random import Random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import norm

from kubenas.api.base import Model
from kubenas.search.acquisition import log_expected_improvement
from kubenas.search.base import LARGEST, History, Observation, Score, Strategy
from kubenas.search.encoding import Encoder, Matrix
from kubenas.search.gaussian_process import GaussianProcess, Posterior
from kubenas.search.pool import Pool
from kubenas.search.preparation import Preparation
from kubenas.search.refit_schedule import fitted_at
from kubenas.search.scalarize import scalarized
from kubenas.search.surrogate import without_outliers
from kubenas.search.transfer import PriorMean, calibrates, informative
from kubenas.search.unseen import draw_unseen
from kubenas.space.base import Architecture, Space

# Candidates that are kept until the next fit, those of the greatest expected improvement.
KEPT: Final = 256
# Pending candidates that count: the latest.
PENDING: Final = 128
# Results that a process can be fitted to.
FEWEST: Final = 2


class BayesianSettings(Model):
    """Settings of Bayesian optimisation."""

    initial: int = Field(default=12, ge=2, le=10_000, description="Architectures drawn evenly before the first model.")


@dataclass(frozen=True, slots=True)
class Fit:
    """The outcome of a fit.

    Attributes:
        process: of the objective.
        candidates: those of the greatest expected improvement.
        posterior: of the process at the candidates.
        log_chances: logarithms of their chances to have a result within the limits.
        best: of what is within the limits, on the scale of the process.
    """

    process: GaussianProcess
    candidates: Sequence[Architecture]
    posterior: Posterior
    log_chances: NDArray[np.float64]
    best: float


class Bayesian(Strategy):
    """Tries what has the greatest expected improvement by a Gaussian process; for numbers, and small budgets.

    Jones, Schonlau, Welch, "Efficient Global Optimization", 1998; a Matérn 5/2 kernel over the space's encodings with a
    length scale for each number, as Snoek, Larochelle, Adams, NeurIPS 2012; the improvement's logarithm, as Ament et
    al., NeurIPS 2023. What is pending counts with its posterior mean (kriging believer, Ginsbourger et al. 2010). A
    second process learns what fails or breaks limits, and the improvement is weighted by the chance to do neither
    (Schonlau, Welch, Jones 1998; Gardner et al., ICML 2014); until something is within the limits, the aim is to come
    near them. With several objectives each fit sees weights of its own (ParEGO).

    Fits are as far apart as the predictor's; results that came in since the last count as pending. A process of earlier
    results is the prior mean, see `PriorMean`, so that scales need not be alike. Where there are `initial` of them, of
    the first `initial` proposals only one in four is drawn. They are left out where even their own scores cannot be
    predicted, see `informative`.
    """

    def __init__(self, space: Space, seed: int, settings: BayesianSettings) -> None:
        super().__init__(space, seed)
        self.settings = settings
        self._encoder = Encoder(space)
        self._earlier = Earlier(self._encoder, (), seed)
        # What the last fit saw of earlier results and of own ones, and its outcome.
        self._fit: tuple[Earlier, Sequence[Observation], Fit | None] | None = None

    def preparation(self, history: History, count: int) -> Preparation | None:  # noqa: ARG002 - one fit serves many
        """The next fit, where one is due."""
        if not self._fits(history):
            return None
        known = history.first(fitted_at(len(history.observations)))
        earlier = self._known_before(history)
        if self._fit is not None and self._fit[0] is earlier and self._fit[1] == known:
            return None
        return Preparation(fit, (self.space, self._encoder, known, earlier, self.seed))

    def accept(self, preparation: Preparation, result: Any) -> None:
        """Take in a fit."""
        *_, known, earlier, _ = preparation.arguments
        self._fit = (earlier, known, result)

    def next(self, history: History, rng: Random) -> Architecture | None:
        """One architecture that was not proposed before, or None where there is none left."""
        if preparation := self.preparation(history, 1):
            self.accept(preparation, preparation.result())
        calibrating = bool(self._known_before(history).known) and calibrates(history, self.settings.initial)
        if self._fit is not None and self._fits(history) and not calibrating:
            _, known, fitted = self._fit
            pending = [*(one.architecture for one in history.observations[len(known) :]), *history.pending]
            if fitted is not None and (first := self._first(fitted, history, pending[-PENDING:])) is not None:
                return first
        return draw_unseen(self.space, history, rng)

    def _fits(self, history: History) -> bool:
        own = len(history.scored)
        earlier = len(history.earlier) if self._known_before(history).known else 0
        return max(own, earlier) >= FEWEST and earlier + history.unfailed >= self.settings.initial

    def _known_before(self, history: History) -> Earlier:
        """The earlier results, which are kept until asked about others."""
        if self._earlier.results != history.earlier:
            self._earlier = Earlier(self._encoder, history.earlier, self.seed)
        return self._earlier

    def _first(self, fitted: Fit, history: History, pending: Sequence[Architecture]) -> Architecture | None:
        """The candidate of the greatest expected improvement, given that others are pending."""
        left = [index for index, one in enumerate(fitted.candidates) if not history.seen(one)]
        if not left:
            return None
        posterior, of_pending = fitted.posterior.at(left), None
        best = fitted.best
        if pending:
            of_pending = fitted.process.posterior(self._encoder.blocks(pending))
            best = max(best, float(of_pending.mean.max()))
        improvement = log_expected_improvement(posterior.mean, fitted.process.deviation(posterior, of_pending), best)
        return fitted.candidates[left[int(np.argmax(improvement + fitted.log_chances[left]))]]


class Earlier:
    """Earlier results, and processes of them; those that were fitted last are kept.

    Args:
        encoder: of their architectures.
        results: all of them.
        seed: of the processes.

    Attributes:
        known: those that processes are fitted to.
    """

    def __init__(self, encoder: Encoder, results: Sequence[Observation], seed: int) -> None:
        self.results = results
        self.known = informative(encoder, results)
        self._encoder = encoder
        self._seed = seed
        self._levels = np.empty(0)
        self._process: GaussianProcess | None = None

    @cached_property
    def blocks(self) -> Sequence[Matrix]:
        """Encodings, a row each."""
        return self._encoder.blocks([one.architecture for one in self.known])

    def process(self, rng: Random) -> GaussianProcess:
        """That of the objective, by the weights that `rng` draws next."""
        levels = _levels(scalarized(self.known, rng), any(one.feasible for one in self.known))
        if self._process is None or not np.array_equal(levels, self._levels):
            self._levels = levels
            self._process = GaussianProcess(self.blocks, levels, self._seed, relevance=True)
        return self._process

    @cached_property
    def limits(self) -> GaussianProcess | None:
        """That of what is within the limits; None where all or nothing is."""
        good = np.array([float(one.feasible) for one in self.known])
        if not self.known or good.min() == good.max():
            return None
        return GaussianProcess(self.blocks, good, self._seed, relevance=True)


def fit(space: Space, encoder: Encoder, observations: Sequence[Observation], earlier: Earlier, seed: int) -> Fit | None:
    """Fit to the observations and find candidates: a function of its arguments; None where there is none.

    With fewer than two observations that have a score, earlier results alone are what is known.
    """
    rng = Random(f"{seed}/{len(observations)}")
    numbers = rng.randrange(2**31)
    scored: Sequence[Observation] = [one for one in observations if one.score is not None]
    prior = earlier.process(copy(rng)) if earlier.known else None
    alone = len(scored) < FEWEST
    if alone:
        if prior is None:
            return None
        scored = earlier.known
    within = any(one.feasible for one in scored)
    levels = _levels(scalarized(scored, rng), within)
    blocks = encoder.blocks([one.architecture for one in scored])
    process = prior if alone and prior else _fitted(blocks, levels, numbers, prior)
    limits = earlier.limits
    if not alone:
        good = np.array([float(one.feasible if within else one.score is not None) for one in observations])
        if limits is not None or not good.all():
            of_all = encoder.blocks([one.architecture for one in observations])
            limits = _fitted(of_all, good, numbers, limits if within else None, same_scale=True)
    feasible = np.array([one.feasible or not within for one in scored])
    best = float(levels[feasible].max())

    def predict(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        blocks = encoder.blocks(architectures)
        mean, deviation = process.predict(blocks)
        log_chances = np.zeros(len(architectures))
        if limits:
            share, doubt = limits.predict(blocks)
            log_chances = norm.logcdf((share - 0.5) / doubt)
        return np.stack([log_expected_improvement(mean, deviation, best) + log_chances, log_chances], axis=1)

    order = [scored[index].architecture for index in np.lexsort((-levels, ~feasible))]
    before = [one.architecture for one in sorted(earlier.known, key=attrgetter("known_score"), reverse=True)]
    pool = Pool(space, [] if alone else order, predict, lambda rows: rows[:, :1], rng, before)
    if not pool.architectures:
        return None
    indices = np.argsort(-pool.predictions[:, 0], kind="stable")[:KEPT]
    candidates = [pool.architectures[index] for index in indices]
    return Fit(process, candidates, process.posterior(encoder.blocks(candidates)), pool.predictions[indices, 1], best)


def _levels(scores: Sequence[Score], within: bool) -> NDArray[np.float64]:
    """Scores from the worst that is no outlier, -1, to the best, 0: values, or violations where no limit is kept."""
    chosen = [value if within else violation for violation, value in scores]
    values = without_outliers(np.clip(chosen, -LARGEST, LARGEST))
    levels: NDArray[np.float64] = (values - values.max()) / (float(np.ptp(values)) or 1.0)
    return levels


def _fitted(
    blocks: Sequence[Matrix],
    scores: NDArray[np.float64],
    seed: int,
    prior: GaussianProcess | None,
    *,
    same_scale: bool = False,
) -> GaussianProcess:
    if prior is None:
        return GaussianProcess(blocks, scores, seed, relevance=True)
    mean = PriorMean(prior, blocks, scores, same_scale=same_scale)
    return GaussianProcess(blocks, mean.residuals, seed, relevance=True, prior=mean)
