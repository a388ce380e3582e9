"""The median stopping rule."""

from __future__ import annotations

from collections.abc import Collection
from statistics import fmean, median
from typing import Final

from kubenas.fidelity.base import RungCurve, RungCurves, Scheduler, Stop, Training, highest

# Rungs, evenly spread.
_RUNGS: Final = 16


class Median(Scheduler):
    """What is worse than the median of running means is stopped (Golovin et al., "Google Vizier", KDD 2017).

    A candidate is stopped where the best that it has shown by a rung is worse than the median, over the others that
    have come as far, of their means over the rungs up to there. Of `minResults` others at least: with fewer, nothing is
    stopped. What is not within the limits is no better than what is.
    """

    def __init__(self, epochs: int, *, min_epochs: int, min_results: int) -> None:
        apart = max(1, -(-(epochs - min_epochs) // _RUNGS))
        self.rungs = tuple(range(min_epochs, epochs, apart))
        self._min_results: Final = min_results

    def stops(self, curves: RungCurves, running: Collection[Training]) -> dict[Training, Stop]:
        """Those whose best is worse than the median of the others' means."""
        found: dict[Training, Stop] = {}
        for rung in self.rungs:
            here = [one for one in running if highest(curves.get(one, {}), self.rungs) == rung]
            upto = [one for one in self.rungs if one <= rung]
            whole = {one: curve for one, curve in curves.items() if here and all(seen in curve for seen in upto)}
            means = {one: _mean(curve, upto) for one, curve in whole.items()}
            for one in here:
                others = [mean for other, mean in means.items() if other != one]
                if len(others) < self._min_results:
                    continue
                middle = (median(mean[0] for mean in others), median(mean[1] for mean in others))
                best = max(curves[one][seen].score for seen in upto if seen in curves[one])
                if best < middle:
                    why = (
                        f"its best by then is worse than the median of {len(others)} running means after {rung} epochs"
                    )
                    found[one] = Stop(rung, why)
        return found


def _mean(curve: RungCurve, rungs: Collection[int]) -> tuple[float, float]:
    """Mean violation and mean of the primary objective over rungs."""
    return fmean(curve[rung].score[0] for rung in rungs), fmean(curve[rung].score[1] for rung in rungs)
