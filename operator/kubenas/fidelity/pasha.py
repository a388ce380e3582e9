"""Progressive asynchronous successive halving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from kubenas.fidelity.base import Promotion, RungCurve, Training
from kubenas.fidelity.promotion import PromotingASHA
from kubenas.fidelity.ranks import AtRungs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kubenas.fidelity.curves import RungCurves

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

    Where the order has become stable nobody is trained to the end: then the best `top` of those that have come farthest
    are.
    """

    def promotions(self, curves: RungCurves, begun: Mapping[Training, int]) -> list[Promotion]:
        """Those of ASHA up to the top rung that is open."""
        top = self._top(curves, begun)
        return [one for one in super().promotions(curves, begun) if one.epochs <= top]

    def _top(self, curves: RungCurves, begun: Mapping[Training, int]) -> int:
        """The highest rung that is open, in epochs."""
        levels = (*self.rungs, self.epochs)
        farthest = self._farthest(curves, begun, levels)
        for below, top in pairwise(levels[:-1]):
            if top >= farthest and not self._unstable(curves, below, top):
                return top
        return self.epochs

    def _farthest(self, curves: RungCurves, begun: Mapping[Training, int], levels: Sequence[int]) -> int:
        """The highest rung that a training has come to or goes to, from the one before.

        Finals skip rungs, when there is nothing left to promote.
        """
        known = curves.order(AtRungs(self.rungs))
        for below, level in reversed([*pairwise(levels)]):
            if any(begun.get(one.training) == level for one in known.get(below, ())):
                return level
        return levels[0]

    def _unstable(self, curves: RungCurves, below: int, top: int) -> bool:
        """Whether those at the top rung are in another order at the rung below, and not by noise alone."""
        known = curves.order(AtRungs(self.rungs))
        after = [one.training for one in known.get(top, ()) if below in curves[one.training]]
        before = [one.training for one in known.get(below, ()) if top in curves[one.training]]
        noise = self._noise(curves, after, top)
        return any(not _alike(curves[one], curves[other], top, noise) for one, other in zip(before, after, strict=True))

    def _noise(self, curves: RungCurves, those: Sequence[Training], top: int) -> float:
        latest = [curves[one] for one in sorted(those)[-_COMPARED:]]
        values = np.array([curve[top].score[1] for curve in latest])
        pairs = np.triu(_go_back_and_forth(latest, [rung for rung in self.rungs if rung <= top]), 1)
        swapped = np.sort(np.abs(values[:, None] - values[None, :])[pairs]) if latest else values
        return float(swapped[int(_PERCENTILE * (len(swapped) - 1))]) if len(swapped) else 0.0


def _alike(one: RungCurve, other: RungCurve, rung: int, noise: float) -> bool:
    """Whether two have come to as much: both within the limits, or with as large a violation."""
    mine, theirs = one[rung].score, other[rung].score
    return mine[0] == theirs[0] and abs(mine[1] - theirs[1]) <= noise


def _go_back_and_forth(curves: Sequence[RungCurve], rungs: Sequence[int]) -> NDArray[np.bool_]:
    """Of each two, whether the better one becomes the worse from rung to rung, and the better again.

    Rungs that one was not seen at, or where they are equal, tell nothing.
    """
    last = np.zeros((len(curves), len(curves)), dtype=np.int64)
    changes = np.zeros_like(last)
    for rung in rungs:
        scores = sorted({curve[rung].score for curve in curves if rung in curve})
        places = {score: place for place, score in enumerate(scores)}
        here = np.array([places[curve[rung].score] if rung in curve else -1 for curve in curves], dtype=np.int64)
        both = (here[:, None] >= 0) & (here[None, :] >= 0)
        sign = np.where(both, np.sign(here[:, None] - here[None, :]), 0)
        changes += sign * last < 0
        last = np.where(sign != 0, sign, last)
    return changes > 1
