"""Progressive asynchronous successive halving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Final

from kubenas.fidelity.base import Promotion, RungCurve, RungCurves, Training
from kubenas.fidelity.promotion import PromotingASHA
from kubenas.fidelity.ranks import at_rung

# Of the differences of those that change places back and forth: what lies below is noise.
_PERCENTILE: Final = 0.9
# Trainings at the top rung by which noise is told, the latest: their pairs are compared.
_COMPARED: Final = 64


class PASHA(PromotingASHA):
    """ASHA by promotion, whose rungs grow only while the order at the two highest ones is unstable.

    Bohdal et al., "PASHA: Efficient HPO and NAS with Progressive Resource Allocation", ICLR 2023. It begins with two
    rungs. Where the order of those at the top rung differs from their order at the rung below, one more is opened.
    The ranking is soft: candidates that differ by less than the noise, by their primary objective, may change places.
    Noise is the 90th percentile of the differences between candidates that have changed places back and forth from
    rung to rung (their section 4.2; they look at epochs, which need not be known here); before that is seen, each
    difference counts. Rungs that are open stay open.

    Where the order has become stable nobody is trained to the end: then the best of those that have come farthest is.
    """

    def promotions(self, curves: RungCurves, begun: Mapping[Training, int]) -> list[Promotion]:
        """Those of ASHA up to the top rung that is open."""
        top = self._top(curves, begun)
        return [one for one in super().promotions(curves, begun) if one.epochs <= top]

    def _top(self, curves: RungCurves, begun: Mapping[Training, int]) -> int:
        """The highest rung that is open, in epochs."""
        levels = (*self.rungs, self.epochs)
        # The last resort skips rungs, when there is nothing left to promote.
        climbing = (epochs for one, epochs in begun.items() if not _skips(curves.get(one, {}), epochs, levels))
        farthest = max(climbing, default=0)
        for below, top in pairwise(levels):
            if top >= farthest and not self._unstable(curves, below, top):
                return top
        return self.epochs

    def _unstable(self, curves: RungCurves, below: int, top: int) -> bool:
        """Whether those at the top rung are in another order at the rung below, and not by noise alone."""
        both = [one for one, value in at_rung(curves, top).items() if below in curves[one]]
        after = sorted(both, key=lambda one: (curves[one][top].score, one), reverse=True)
        before = sorted(both, key=lambda one: (curves[one][below].score, one), reverse=True)
        noise = self._noise(curves, after, top)
        return any(not _alike(curves[one], curves[other], top, noise) for one, other in zip(before, after, strict=True))

    def _noise(self, curves: RungCurves, those: Sequence[Training], top: int) -> float:
        latest = sorted(those)[-_COMPARED:]
        swapped = sorted(
            abs(curves[one][top].score[1] - curves[other][top].score[1])
            for one, other in combinations(latest, 2)
            if _goes_back_and_forth(curves[one], curves[other], [rung for rung in self.rungs if rung < top] + [top])
        )
        return swapped[int(_PERCENTILE * (len(swapped) - 1))] if swapped else 0.0


def _skips(curve: RungCurve, epochs: int, levels: Sequence[int]) -> bool:
    """Whether a training goes, or has gone, to some epochs from lower ones than the rung before."""
    below = max((level for level in levels if level < epochs), default=None)
    return below is not None and below not in curve


def _alike(one: RungCurve, other: RungCurve, rung: int, noise: float) -> bool:
    """Whether two have come to as much: both within the limits, or with as large a violation."""
    mine, theirs = one[rung].score, other[rung].score
    return mine[0] == theirs[0] and abs(mine[1] - theirs[1]) <= noise


def _goes_back_and_forth(one: RungCurve, other: RungCurve, rungs: Sequence[int]) -> bool:
    """Whether the better of two becomes the worse from rung to rung, and the better again."""
    signs = [
        one[rung].score > other[rung].score
        for rung in rungs
        if rung in one and rung in other and one[rung].score != other[rung].score
    ]
    return sum(before != after for before, after in pairwise(signs)) > 1
