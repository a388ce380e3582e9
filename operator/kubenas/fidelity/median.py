"""The median stopping rule."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from statistics import fmean
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
            if not here:
                continue
            upto = [one for one in self.rungs if one <= rung]
            come = {one: curve for one, curve in curves.items() if rung in curve}
            whole = {one: curve for one, curve in come.items() if all(seen in curve for seen in upto)}
            means = {one: _mean(curve, upto) for one, curve in whole.items()}
            parts = [sorted(mean[part] for mean in means.values()) for part in (0, 1)]
            for one in here:
                own, others = means.get(one), len(means) - (one in means)
                if others < self._min_results:
                    continue
                violation, primary = (_median(parts[part], own[part] if own else None) for part in (0, 1))
                best = max(curves[one][seen].score for seen in upto if seen in curves[one])
                if best < (violation, primary):
                    why = f"its best is worse than the median of {others} running means after {rung} epochs"
                    found[one] = Stop(rung, why)
        return found


def _median(ordered: Sequence[float], without: float | None) -> float:
    """The median of values in ascending order, one of them left out where that is said."""
    left_out = len(ordered) if without is None else bisect_left(ordered, without)
    count = len(ordered) - (without is not None)
    low, high = (count - 1) // 2, count // 2
    return (ordered[low + (low >= left_out)] + ordered[high + (high >= left_out)]) / 2


def _mean(curve: RungCurve, rungs: Collection[int]) -> tuple[float, float]:
    """Mean violation and mean of the primary objective over rungs."""
    return fmean(curve[rung].score[0] for rung in rungs), fmean(curve[rung].score[1] for rung in rungs)
