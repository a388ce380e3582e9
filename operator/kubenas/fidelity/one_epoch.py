"""The best after one epoch."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from kubenas.fidelity.base import RungCurves, Scheduler, Stop, Training
from kubenas.fidelity.ranks import at_rung, better_ones


class OneEpoch(Scheduler):
    """After one epoch, or `minEpochs`, the best `top` go on, to the end.

    Egele et al., "Is One Epoch All You Need For Multi-Fidelity Hyperparameter Optimization?", ESANN 2023. One that so
    many have come to better is stopped, however far it is.
    """

    def __init__(self, epochs: int, *, min_epochs: int, top: int) -> None:
        self.rungs = (min_epochs,) if min_epochs < epochs else ()
        self._top: Final = top

    def stops(self, curves: RungCurves, running: Collection[Training]) -> dict[Training, Stop]:
        """Those that are not among the best."""
        found: dict[Training, Stop] = {}
        for rung in self.rungs:
            known = at_rung(curves, rung)
            better = better_ones(known)
            for one in running:
                if one in better and better[one] >= self._top:
                    why = f"{better[one]} of {len(known)} candidates were better after {rung} epochs; {self._top} go on"
                    found[one] = Stop(rung, why)
        return found
