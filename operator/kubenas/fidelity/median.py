"""The median stopping rule."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kubenas.fidelity.base import RungCurve, Scheduler, Stop, Training, highest

if TYPE_CHECKING:
    from kubenas.fidelity.curves import RungCurves

# Rungs, evenly spread.
_RUNGS: Final = 16


@dataclass(frozen=True)
class _RunningMeans:
    """Means over the rungs up to each, where all were seen: of violations (part 0), of the primary objective (1)."""

    rungs: tuple[int, ...]

    def __call__(self, training: Training, curve: RungCurve) -> dict[Hashable, float]:  # noqa: ARG002
        means: dict[Hashable, float] = {}
        sums = [0.0, 0.0]
        for count, rung in enumerate(self.rungs, 1):
            if rung not in curve:
                break
            for part in (0, 1):
                sums[part] += curve[rung].score[part]
                means[rung, part] = sums[part] / count
        return means


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
        filing, found = _RunningMeans(self.rungs), dict[Training, Stop]()
        known = curves.order(filing)
        for one in running:
            curve = curves.get(one, {})
            rung = highest(curve, self.rungs)
            if rung is None:
                continue
            own = filing(one, curve)
            others = len(known.get((rung, 0), ())) - ((rung, 0) in own)
            if others < self._min_results:
                continue
            violation, primary = (_median(known[rung, part], own.get((rung, part))) for part in (0, 1))
            best = max(curve[seen].score for seen in self.rungs if seen <= rung and seen in curve)
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
