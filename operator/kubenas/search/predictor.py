"""Predictor-based search: a surrogate learns from all results which architectures are worth a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kubenas.api.base import Model
from kubenas.api.errors import SpecError
from kubenas.search.acquisition import hypervolume_sequence, lengths_along, log_expected_improvement, random_directions
from kubenas.search.base import NO_FEATURES, History, Observation, Strategy
from kubenas.search.encoding import Encoder
from kubenas.search.models import Models
from kubenas.search.pool import PROMISING, Pool
from kubenas.search.preparation import Preparation
from kubenas.search.refit_schedule import REFITS, fitted_at
from kubenas.search.rungs import models_of, tried
from kubenas.search.transfer import calibrates, informative
from kubenas.search.unseen import draw_unseen
from kubenas.space.base import Architecture, InvalidArchitectureError, Space

# Results that a model can be fitted to.
FEWEST: Final = 2
# Of several objectives, how many more candidates are put in order than are needed until the next fit.
SPARE: Final = 32
# Draws from the predictions that the expected gain of hypervolume is the mean of.
SAMPLES: Final = 8


class KnownScores(Model):
    """What is known of an architecture before any trial: zero-cost proxies, results on another task."""

    architecture: Any = Field(description="The architecture, as in a trial.")
    values: list[float] = Field(min_length=1, max_length=64, description="Its numbers, as many for each architecture.")


class PredictorSettings(Model):
    """Settings of the predictor."""

    scores: list[KnownScores] = Field(
        default_factory=list, max_length=10_000, description="Numbers known before, for the model to learn from too."
    )
    initial: int = Field(default=16, ge=2, le=10_000, description="Architectures drawn evenly before the first fit.")
    proxies: list[str] = Field(
        default_factory=list,
        max_length=32,
        description="Zero-cost proxies to score a pool of architectures by before the search, which chooses from it.",
    )
    pool: int = Field(default=2_000, ge=1, le=20_000, description="Architectures that are scored by `proxies`.")


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates in two orders, the best first.

    Attributes:
        by_mean: by the posterior mean.
        by_improvement: by the expected improvement, so that candidates of large variance come earlier.
    """

    by_mean: Sequence[Architecture]
    by_improvement: Sequence[Architecture]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known before a search.

    Attributes:
        earlier: results of an earlier stage or search, or else the scores of the pool.
        models: of the earlier results; None where these tell nothing.
        pool: what is to be chosen from; empty where that is the space.
    """

    earlier: Sequence[Observation]
    features: Mapping[Architecture, Sequence[float]]
    encoder: Encoder
    models: Models | None
    pool: Sequence[Architecture]


class Predictor(Strategy):
    """Fits a surrogate to the results and tries what it ranks first, in turns by mean and by expected improvement.

    Predictor-based search as compared by White, Zela et al., "How Powerful are Performance Predictors in NAS?",
    NeurIPS 2021, arXiv:2104.01177; the ensemble stands in for the networks of BANANAS (AAAI 2021, arXiv:1910.11858).
    Every second proposal has the greatest expected improvement, so that an error of the model is found out. With
    several objectives, proposals have the greatest gain of hypervolume, each counted after those before it. Limits
    are part of the ranks (one objective) or of a chance to be feasible (several).

    It is fitted anew each time the results have grown by a twentieth; until then its ranking is worked off, so that
    what is pending is never proposed again and time does not grow with the history.

    A model of earlier results is the prior mean of that of the own ones, see `PriorMean`, so that their scales need not
    be alike. Where there are `initial` of them, of the first `initial` proposals only one in four is drawn. They are
    left out where even their own scores cannot be predicted, see `informative`.

    Where trainings are stopped early, values at different rungs are not compared: see `models_of`.

    Zero-cost proxies of earlier stages are features of architectures beside their encoding. Where the history has a
    pool, nothing else is proposed until none of it is left; its scores are earlier results where there are no others.

    Args:
        scores: further numbers for architectures by `Space.key` for the model to learn from, beside those of the
            settings.

    Raises:
        SpecError: a known score is of no architecture of the space, or not as long as the others.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        settings: PredictorSettings,
        scores: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        super().__init__(space, seed)
        self.settings = settings
        self._scores = {**_known_scores(space, settings), **(scores or {})}
        self._known = self._learned((), NO_FEATURES, ())
        # What the last fit saw of what was known before and of own results, and its outcome.
        self._ranked: tuple[Known, Sequence[Observation], Ranking] | None = None

    def preparation(self, history: History, count: int) -> Preparation | None:  # noqa: ARG002 - one fit serves many
        """The next fit, where one is due."""
        if (fitted := self._fitted_to(history)) is None:
            return None
        results, known = tuple(history.first_scored(fitted)), self._known_before(history)
        if self._ranked is not None and self._ranked[0] is known and self._ranked[1] == results:
            return None
        return Preparation(rank, (self.space, known, results, self.seed))

    def accept(self, preparation: Preparation, result: Any) -> None:
        """Take in a ranking."""
        _, known, results, _ = preparation.arguments
        self._ranked = (known, results, result)

    def next(self, history: History, rng: Random) -> Architecture | None:
        """The first of the ranking that was not proposed before; a drawn one at the start and where all were."""
        if preparation := self.preparation(history, 1):
            self.accept(preparation, preparation.result())
        known = self._known_before(history)
        calibrating = known.models is not None and calibrates(history, self.settings.initial)
        if self._ranked is not None and self._fitted_to(history) is not None and not calibrating:
            ranking = self._ranked[2]
            order = ranking.by_improvement if history.proposed % 2 else ranking.by_mean
            for architecture in order:
                if not history.seen(architecture):
                    return architecture
        for architecture in rng.sample(known.pool, len(known.pool)):
            if not history.seen(architecture):
                return architecture
        return draw_unseen(self.space, history, rng)

    def _fitted_to(self, history: History) -> int | None:
        """How many of the own results the models are fitted to; None while too few results are known."""
        own = len(history.scored)
        known = self._known_before(history)
        earlier = len(known.earlier) if known.models else 0
        if max(own, earlier) < FEWEST or earlier + history.unfailed < self.settings.initial:
            return None
        return fitted_at(own) if own >= FEWEST else 0

    def _known_before(self, history: History) -> Known:
        """What was known before the search, kept until asked about another one's."""
        features, earlier = history.features, history.earlier or history.pool
        pool = tuple(one.architecture for one in history.pool)
        same = self._known.features is features or self._known.features == features
        if not (same and self._known.earlier == earlier and self._known.pool == pool):
            self._known = self._learned(earlier, features, pool)
        return self._known

    def _learned(
        self,
        earlier: Sequence[Observation],
        features: Mapping[Architecture, Sequence[float]],
        pool: Sequence[Architecture],
    ) -> Known:
        encoder = Encoder(self.space, self._scores, {self.space.key(one): row for one, row in features.items()})
        telling = informative(encoder, earlier)
        models = Models(encoder, telling, self.seed) if telling else None
        return Known(earlier, features, encoder, models, pool)


def _known_scores(space: Space, settings: PredictorSettings) -> dict[str, Sequence[float]]:
    known: dict[str, Sequence[float]] = {}
    for index, entry in enumerate(settings.scores):
        field = f"search.settings.scores[{index}]"
        if len(entry.values) != len(settings.scores[0].values):
            raise SpecError(
                f"{field}.values",
                f"has {len(entry.values)} numbers, but the first has {len(settings.scores[0].values)}",
            )
        try:
            known[space.key(space.parse(entry.architecture))] = entry.values
        except InvalidArchitectureError as error:
            raise SpecError(f"{field}.architecture", str(error)) from None
    return known


def rank(space: Space, known: Known, observations: Sequence[Observation], seed: int) -> Ranking:
    """Fit to the observations and put candidates in order: a function of its arguments.

    Without observations earlier results alone are what is known.
    """
    rng = Random(f"{seed}/{len(observations)}")
    numbers = rng.randrange(2**31)
    earlier = known.models
    models = models_of(known.encoder, observations, numbers, earlier) if observations or earlier is None else earlier
    best = models.known[0]
    if len(best.objectives) == 1 or not best.feasible:
        return _rank_by_improvement(space, known, models, observations, rng)
    return _rank_by_hypervolume(space, known, models, observations, rng, numbers)


def _rank_by_improvement(
    space: Space, known: Known, models: Models, observations: Sequence[Observation], rng: Random
) -> Ranking:
    encoder, earlier = known.encoder, known.models
    best = float(models.normal_scores[0])

    def predict(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        mean, deviation = models.score.predict(encoder.blocks(architectures))
        return np.stack([mean, log_expected_improvement(mean, deviation, best)], axis=1)

    observed = [] if models is earlier else tried(observations, models.architectures)
    before = earlier.architectures if earlier else []
    pool = Pool(space, observed, predict, lambda rows: rows, rng, before, known.pool)
    return Ranking(*(_ordered(pool, column) for column in (0, 1)))


def _ordered(pool: Pool, column: int) -> list[Architecture]:
    if not pool.architectures:
        return []
    indices = np.argsort(-pool.predictions[:, column], kind="stable")
    return [pool.architectures[index] for index in indices]


def _rank_by_hypervolume(
    space: Space, known: Known, models: Models, observations: Sequence[Observation], rng: Random, numbers: int
) -> Ranking:
    encoder, earlier = known.encoder, known.models
    objectives, limits = len(models.objectives), models.limits

    def predict(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Means of the objectives, their deviations, and the chance to be within the limits."""
        rows = encoder.blocks(architectures)
        pairs = [surrogate.predict(rows) for surrogate in models.objectives]
        chance = np.ones(len(architectures))
        if limits:
            chance = np.clip(limits.predict(rows)[0], 1e-3, 1.0)
            # What is more likely than not to break a limit comes after all else, whatever it promises.
            chance = np.where(chance < 0.5, chance * 1e-6, chance)
        return np.stack([*(p[0] for p in pairs), *(p[1] for p in pairs), chance], axis=1)

    directions = random_directions(PROMISING, objectives, numbers)

    def promise(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far each reaches along some directions, at one deviation above its mean."""
        return lengths_along(rows[:, :objectives] + rows[:, objectives:-1], directions) * rows[:, -1:]

    observed = [] if models is earlier else tried(observations, models.front_first())
    pool = Pool(space, observed, predict, promise, rng, earlier.front_first() if earlier else [], known.pool)
    if not pool.architectures:
        return Ranking([], [])
    means, deviations, chances = np.split(pool.predictions, [objectives, 2 * objectives], axis=1)
    draws = np.random.default_rng(numbers).standard_normal((SAMPLES, 1, objectives))
    front = models.units[models.feasible > 0.0]
    count = len(models.known) // REFITS + SPARE
    orders = [
        hypervolume_sequence(front, samples, chances[:, 0], count, numbers)
        for samples in (means[None], means + deviations * draws)
    ]
    return Ranking(*([pool.architectures[index] for index in order] for order in orders))
