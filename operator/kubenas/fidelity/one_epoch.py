"""The best after one epoch."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from kubenas.fidelity.asha import stopped_at
from kubenas.fidelity.base import Scheduler, Stop, Training
from kubenas.fidelity.ranks import AtRungs

if TYPE_CHECKING:
    from kubenas.fidelity.curves import RungCurves


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
        known = curves.order(AtRungs(self.rungs))
        stops = {
            one: stopped_at(known[rung], rung, one, curves[one][rung], self._top)
            for rung in self.rungs
            for one in running
            if rung in curves.get(one, {})
        }
        return {one: stop for one, stop in stops.items() if stop}
