"""Predictor-based search: a surrogate learns from all results which architectures are worth a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from random import Random
from typing import Any, Final

import moocore
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kubenas.api.base import Model
from kubenas.api.errors import SpecError
from kubenas.search.acquisition import hypervolume_sequence, lengths_along, log_expected_improvement, random_directions
from kubenas.search.base import History, Observation, Preparation, Strategy
from kubenas.search.encoding import Encoder
from kubenas.search.pool import PROMISING, Pool
from kubenas.search.refits import REFITS, fitted_at
from kubenas.search.surrogate import Surrogate, normal_scores, without_outliers
from kubenas.search.unseen import draw_unseen
from kubenas.space.base import Architecture, InvalidArchitectureError, Space

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


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one fit has come to: candidates in order, once by what is expected of them, once by what they may be."""

    expected: Sequence[Architecture]
    hoped: Sequence[Architecture]


class Predictor(Strategy):
    """Fits a surrogate to the results and tries what it ranks first, in turns by expectation and by hope.

    Predictor-based search as compared by White, Zela et al., "How Powerful are Performance Predictors in NAS?",
    NeurIPS 2021, arXiv:2104.01177; the ensemble stands in for the networks of BANANAS (AAAI 2021, arXiv:1910.11858).
    Every second proposal has the greatest expected improvement, so that an error of the model is found out. With
    several objectives, proposals have the greatest gain of hypervolume, each counted after those before it. Limits
    are part of the ranks (one objective) or of a chance to be feasible (several).

    It is fitted anew each time the results have grown by a twentieth; until then its ranking is worked off, so that
    what is pending is never proposed again and time does not grow with the history.

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
        self._encoder = Encoder(space, {**_known_scores(space, settings), **(scores or {})})
        self._ranked: tuple[tuple[Observation, ...], Ranking] | None = None

    def preparation(self, history: History, count: int) -> Preparation | None:  # noqa: ARG002 - one fit serves many
        """The next fit, where one is due."""
        if (fitted := self._fitted_to(history)) is None:
            return None
        known = tuple(history.scored[:fitted])
        if self._ranked is not None and self._ranked[0] == known:
            return None
        return Preparation(rank, (self.space, self._encoder, known, self.seed))

    def accept(self, preparation: Preparation, result: Any) -> None:
        """Take in a ranking."""
        self._ranked = (preparation.arguments[2], result)

    def next(self, history: History, rng: Random) -> Architecture | None:
        """The first of the ranking that was not proposed before; a drawn one at the start and where all were."""
        if preparation := self.preparation(history, 1):
            self.accept(preparation, preparation.result())
        if self._ranked is not None and self._fitted_to(history) is not None:
            ranking = self._ranked[1]
            order = ranking.hoped if history.proposed % 2 else ranking.expected
            for architecture in order:
                if not history.seen(architecture):
                    return architecture
        return draw_unseen(self.space, history, rng)

    def _fitted_to(self, history: History) -> int | None:
        """How many of the results the model is fitted to; None while there are too few."""
        if len(history.scored) < 2 or history.unfailed < self.settings.initial:
            return None
        return fitted_at(len(history.scored))


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


def rank(space: Space, encoder: Encoder, observations: Sequence[Observation], seed: int) -> Ranking:
    """Fit to the observations and put candidates in order: a function of its arguments."""
    rng = Random(f"{seed}/{len(observations)}")
    numbers = rng.randrange(2**31)
    known = sorted(observations, key=attrgetter("known_score"), reverse=True)
    blocks = encoder.blocks([observation.architecture for observation in known])
    if len(known[0].objectives) == 1 or not known[0].feasible:
        return _rank_by_improvement(space, encoder, known, blocks, rng, numbers)
    return _rank_by_hypervolume(space, encoder, known, blocks, rng, numbers)


def _rank_by_improvement(
    space: Space,
    encoder: Encoder,
    known: Sequence[Observation],
    blocks: Sequence[NDArray[np.float64]],
    rng: Random,
    numbers: int,
) -> Ranking:
    scores = normal_scores([observation.known_score for observation in known])
    surrogate = Surrogate(blocks, scores, numbers)
    best = float(scores[0])

    def predict(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        mean, deviation = surrogate.predict(encoder.blocks(architectures))
        return np.stack([mean, log_expected_improvement(mean, deviation, best)], axis=1)

    pool = Pool(space, [observation.architecture for observation in known], predict, lambda rows: rows, rng)
    return Ranking(*(_ordered(pool, column) for column in (0, 1)))


def _ordered(pool: Pool, column: int) -> list[Architecture]:
    if not pool.architectures:
        return []
    places = np.argsort(-pool.predictions[:, column], kind="stable")
    return [pool.architectures[place] for place in places]


def _rank_by_hypervolume(
    space: Space,
    encoder: Encoder,
    known: Sequence[Observation],
    blocks: Sequence[NDArray[np.float64]],
    rng: Random,
    numbers: int,
) -> Ranking:
    values = np.array([observation.objectives for observation in known])
    objectives = values.shape[1]
    low, high = values.min(axis=0), values.max(axis=0)
    units = (values - low) / np.where(high > low, high - low, 1.0)
    surrogates = [Surrogate(blocks, without_outliers(column), numbers) for column in units.T]
    kept = np.array([float(observation.feasible) for observation in known])
    limits = Surrogate(blocks, kept, numbers) if kept.min() < 1.0 else None

    def predict(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Means of the objectives, their deviations, and the chance to be within the limits."""
        rows = encoder.blocks(architectures)
        pairs = [surrogate.predict(rows) for surrogate in surrogates]
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

    pool = Pool(space, _front_first(known, values), predict, promise, rng)
    if not pool.architectures:
        return Ranking([], [])
    means, deviations, chances = np.split(pool.predictions, [objectives, 2 * objectives], axis=1)
    draws = np.random.default_rng(numbers).standard_normal((SAMPLES, 1, objectives))
    count = len(known) // REFITS + SPARE
    orders = [
        hypervolume_sequence(units[kept > 0.0], samples, chances[:, 0], count, numbers)
        for samples in (means[None], means + deviations * draws)
    ]
    return Ranking(*([pool.architectures[place] for place in order] for order in orders))


def _front_first(known: Sequence[Observation], values: NDArray[np.float64]) -> list[Architecture]:
    """The architectures, those of the Pareto front before the others."""
    front = moocore.is_nondominated(values, maximise=True)
    places = [*np.flatnonzero(front), *np.flatnonzero(~front)]
    return [known[place].architecture for place in places]
