"""Early stopping by where a learning curve leads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Final

from kubenas.fidelity.base import RungCurves, Scheduler, Stop, Training, geometric, highest

# Between two rungs.
_APART: Final = 2
# Of the spread of residuals, in shares of that of the last values: a perfect fit to a few is luck.
_LEAST_SPREAD: Final = 1e-3


@dataclass(frozen=True, slots=True)
class _Line:
    """The regression of last values on those at a rung."""

    count: int
    mean: float
    slope: float
    middle: float
    squares: float
    spread: float

    def chance(self, value: float, best: float) -> float:
        """Probability that who has come to `value` ends better than `best`."""
        away = (value - self.middle) ** 2 / self.squares if self.squares else 0.0
        deviation = self.spread * (1 + 1 / self.count + away) ** 0.5
        expected = self.mean + self.slope * (value - self.middle)
        return 1 - NormalDist(expected, deviation).cdf(best) if deviation else float(expected > best)


class Extrapolation(Scheduler):
    """What will hardly become better than the best is stopped.

    A candidate's last value is predicted by that at its highest rung, by a linear regression over the trainings that
    have come to their end, `minResults` at least; it is stopped where the chance to end better than the best of them is
    below `chance`. So do Baker et al., "Accelerating Neural Architecture Search using Performance Prediction", ICLR
    workshops 2018, with more features; the criterion is that of Domhan et al., IJCAI 2015. Only the primary objective
    is predicted, and who breaks a limit is neither stopped nor learned from.
    """

    def __init__(self, epochs: int, *, min_epochs: int, min_results: int, chance: float) -> None:
        self.rungs = geometric(min_epochs, _APART, epochs)
        self._epochs: Final = epochs
        self._min_results: Final = min_results
        self._chance: Final = chance

    def stops(self, curves: RungCurves, running: Collection[Training]) -> dict[Training, Stop]:
        """Those that will hardly become the best."""
        whole = [curve for curve in curves.values() if self._epochs in curve and curve[self._epochs].score[0] == 0.0]
        best = max((curve[self._epochs].score[1] for curve in whole), default=0.0)
        found: dict[Training, Stop] = {}
        for rung in self.rungs:
            here = [one for one in running if highest(curves.get(one, {}), self.rungs) == rung]
            known = [(curve[rung].score[1], curve[self._epochs].score[1]) for curve in whole if rung in curve]
            if not here or len(known) < max(3, self._min_results):
                continue
            line = _fitted(sorted(known))
            for one in here:
                violation, value = curves[one][rung].score
                chance = line.chance(value, best)
                if violation == 0.0 and self._epochs not in curves[one] and chance < self._chance:
                    why = f"its chance to end better than the best is {chance:.1%} after {rung} epochs"
                    found[one] = Stop(rung, why)
        return found


def _fitted(known: Sequence[tuple[float, float]]) -> _Line:
    """The line through values at a rung and last values; flat where the former are equal."""
    middle, mean = fmean(x for x, _ in known), fmean(y for _, y in known)
    squares = sum((x - middle) ** 2 for x, _ in known)
    slope = sum((x - middle) * (y - mean) for x, y in known) / squares if squares else 0.0
    residuals = sum((y - mean - slope * (x - middle)) ** 2 for x, y in known)
    around = sum((y - mean) ** 2 for _, y in known) / len(known)
    spread = max((residuals / (len(known) - 2)) ** 0.5, _LEAST_SPREAD * around**0.5)
    return _Line(len(known), mean, slope, middle, squares, spread)
