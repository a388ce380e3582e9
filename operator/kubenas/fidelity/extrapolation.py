"""Early stopping by where a learning curve leads."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, product
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from kubenas.fidelity.base import RungCurve, Scheduler, Stop, Training, geometric

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.gaussian_process import GaussianProcessRegressor

    from kubenas.fidelity.curves import RungCurves

# Between two rungs.
_APART: Final = 2
# A curve is told by its values at so many rungs, the last ones.
_SEEN: Final = 3
# Whole curves that are learned from, the latest: the time of a decision does not grow with a long search.
_LEARNED: Final = 64
# The grid of hyperparameters, for values of mean 0 and variance 1: of the length of what is no line, and of the noise.
_LENGTHS: Final = (1.0, 3.0)
_NOISES: Final = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0)
# Values of trainings that diverge are taken as this, so that sums of their squares are finite.
_MOST: Final = 1e100

# Values at the rungs that were seen, and the last one.
_Whole: TypeAlias = tuple[tuple[float, ...], float]


@dataclass(frozen=True, slots=True)
class _Ends:
    """What last values follow from values at some rungs."""

    process: GaussianProcessRegressor
    middle: NDArray[np.float64]
    spread: NDArray[np.float64]
    mean: float
    deviation: float

    def chances(self, curves: Sequence[Sequence[float]], best: float) -> list[float]:
        """Probability, of each, that it ends better than `best`."""
        rows = (np.array(curves) - self.middle) / self.spread
        means, deviations = self.process.predict(rows, return_std=True)
        least = (best - self.mean) / self.deviation
        return [
            1 - NormalDist(mean, deviation).cdf(least)
            for mean, deviation in zip(means.tolist(), deviations.tolist(), strict=True)
        ]


@dataclass(frozen=True)
class _Ended:
    """Trainings that have come to their end within the limits, by their numbers."""

    epochs: int

    def __call__(self, training: Training, curve: RungCurve) -> dict[Hashable, Training]:
        return {"": training} if self.epochs in curve and curve[self.epochs].score[0] == 0.0 else {}


@dataclass(frozen=True)
class _EndValues:
    """What they have come to."""

    epochs: int

    def __call__(self, training: Training, curve: RungCurve) -> dict[Hashable, float]:  # noqa: ARG002
        end = curve.get(self.epochs)
        return {"": end.score[1]} if end and end.score[0] == 0.0 else {}


class Extrapolation(Scheduler):
    """What will hardly become better than the best is stopped.

    A candidate's last value is predicted from those at the last three rungs that it was seen at, by a Gaussian process
    with a linear trend over the latest 64 trainings that have come to their end, `minResults` at least; it is stopped
    where the chance to end better than the best of all of them is below `chance`, the criterion of Domhan et al., IJCAI
    2015. Gaussian processes predict curves from those of others in Swersky et al., "Freeze-Thaw Bayesian Optimization",
    2014; the points of a curve so far are the features in Baker et al., ICLR workshops 2018. Only the primary objective
    is predicted, and who breaks a limit is neither stopped nor learned from.
    """

    def __init__(self, epochs: int, *, min_epochs: int, min_results: int, chance: float) -> None:
        self.rungs = geometric(min_epochs, _APART, epochs)
        self._epochs: Final = epochs
        self._min_results: Final = min_results
        self._chance: Final = chance

    def stops(self, curves: RungCurves, running: Collection[Training]) -> dict[Training, Stop]:
        """Those that will hardly become the best."""
        whole = curves.order(_Ended(self._epochs)).get("")
        values = curves.order(_EndValues(self._epochs)).get("")
        if not (whole and values):
            return {}
        groups: dict[tuple[int, ...], list[Training]] = {}
        for one in running:
            curve = curves.get(one, {})
            seen = tuple(rung for rung in self.rungs if rung in curve)[-_SEEN:]
            if seen and self._epochs not in curve and curve[seen[-1]].score[0] == 0.0:
                groups.setdefault(seen, []).append(one)
        found: dict[Training, Stop] = {}
        for seen, here in groups.items():
            latest = (curves[one] for one in reversed(whole))
            known = [*islice((curve for curve in latest if all(rung in curve for rung in seen)), _LEARNED)][::-1]
            if len(known) < max(3, self._min_results):
                continue
            ends = _learned(tuple((_values(curve, seen), _bounded(curve[self._epochs].score[1])) for curve in known))
            chances = ends.chances([_values(curves[one], seen) for one in here], _bounded(values[-1]))
            for one, chance in zip(here, chances, strict=True):
                if chance < self._chance:
                    why = f"its chance to end better than the best is {chance:.1%} after {seen[-1]} epochs"
                    found[one] = Stop(seen[-1], why)
        return found


def _values(curve: RungCurve, rungs: Sequence[int]) -> tuple[float, ...]:
    return tuple(_bounded(curve[rung].score[1]) for rung in rungs)


def _bounded(value: float) -> float:
    return max(-_MOST, min(value, _MOST))


@lru_cache(maxsize=64)
def _learned(known: tuple[_Whole, ...]) -> _Ends:
    """The process whose hyperparameters make what is known most likely; the same each time."""
    # of use to this scheduler alone, and slow to import
    from sklearn.gaussian_process import GaussianProcessRegressor  # noqa: PLC0415
    from sklearn.gaussian_process.kernels import RBF, DotProduct, WhiteKernel  # noqa: PLC0415

    rows, ends = np.array([values for values, _ in known]), np.array([end for _, end in known])
    middle, mean = rows.mean(axis=0), float(ends.mean())
    spread, deviation = _or_one(rows.std(axis=0)), float(_or_one(ends.std()))
    rows, ends = (rows - middle) / spread, (ends - mean) / deviation
    processes = [
        GaussianProcessRegressor(DotProduct(1.0) + RBF(length) + WhiteKernel(noise), optimizer=None).fit(rows, ends)
        for length, noise in product(_LENGTHS, _NOISES)
    ]
    likeliest = max(processes, key=lambda one: float(one.log_marginal_likelihood_value_))
    return _Ends(likeliest, middle, spread, mean, deviation)


def _or_one(deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    """What does not vary is not scaled."""
    return np.where(deviations > 1e-12, deviations, 1.0)
