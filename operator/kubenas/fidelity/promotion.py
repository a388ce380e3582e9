"""Asynchronous successive halving, by promotion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from kubenas.fidelity.base import Promoter, Promotion, Training, geometric
from kubenas.fidelity.ranks import AtRungs, best

if TYPE_CHECKING:
    from kubenas.fidelity.curves import RungCurves


class PromotingASHA(Promoter):
    """The best 1/eta of those that have come to a rung go on to the next one, the highest rung first.

    Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, algorithm 2. A candidate that is not
    promoted waits, and may be promoted once others have come to its rung that are worse. In the end, those that wait at
    the highest rungs, the best first, are trained to the end until `top` have come there.

    Several objectives are compared by non-dominated sorting.
    """

    def __init__(self, epochs: int, *, min_epochs: int, eta: int, top: int = 1) -> None:
        self.rungs = geometric(min_epochs, eta, epochs)
        self.epochs = epochs
        self.top = top
        self._eta: Final = eta

    def promotions(self, curves: RungCurves, begun: Mapping[Training, int]) -> list[Promotion]:
        """Those that are among the best at a rung and have not been promoted from there."""
        known, found = curves.order(AtRungs(self.rungs)), list[Promotion]()
        for rung, following in reversed([*zip(self.rungs, (*self.rungs[1:], self.epochs), strict=True)]):
            here = known.get(rung)
            going_on = best(here, len(here) // self._eta) if here else ()
            found += [Promotion(one, following) for one in going_on if begun.get(one) == rung]
        return found

    def finals(self, curves: RungCurves, begun: Mapping[Training, int], ending: int) -> list[Promotion]:
        """Those that wait at the highest rung, the best first, then those at the rung below, and so on."""
        whole = sum(self.epochs in curve for curve in curves.values())
        lacking = max(0, self.top - whole - ending)
        if not lacking:
            return []
        known, waiting = curves.order(AtRungs(self.rungs)), list[Training]()
        for rung in reversed(self.rungs):
            here = known.get(rung)
            waiting += [one for one in best(here, len(here)) if begun.get(one) == rung] if here else ()
        return [Promotion(one, self.epochs) for one in waiting[:lacking]]
