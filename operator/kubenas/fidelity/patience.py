"""Early stopping by a candidate's own curve."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from kubenas.fidelity.base import RungCurve, Scheduler, Stop, Training, highest

if TYPE_CHECKING:
    from kubenas.fidelity.curves import RungCurves


class Patience(Scheduler):
    """What no longer improves is stopped (Prechelt, "Early Stopping - But When?", 1998).

    A candidate is judged every `patience` epochs: it is stopped where it is not better than it has been at any rung
    before. It is compared with itself alone, and only where it was seen at the rung just before.

    Its training is over then, and its last values are its result, as with the callbacks of trainers (Keras'
    EarlyStopping without restored weights, Lightning's): the checkpoint from which it may go on has these weights.
    """

    completes = True

    def __init__(self, epochs: int, *, min_epochs: int, patience: int) -> None:
        self.rungs = tuple(range(patience, epochs, patience))
        self._first: Final = min_epochs
        self._patience: Final = patience

    def stops(self, curves: RungCurves, running: Collection[Training]) -> dict[Training, Stop]:
        """Those whose last rung is no better than one before."""
        found: dict[Training, Stop] = {}
        for one in running:
            curve = curves.get(one, {})
            rung = highest(curve, self.rungs)
            if rung is not None and rung >= self._first and self._stagnates(curve, rung):
                found[one] = Stop(rung, f"{self._patience} epochs without an improvement, after {rung} epochs")
        return found

    def _stagnates(self, curve: RungCurve, last: int) -> bool:
        before = [rung for rung, after in pairwise(self.rungs) if after <= last and rung in curve]
        if last - self._patience not in before:
            return False
        return curve[last].score <= max(curve[rung].score for rung in before)
