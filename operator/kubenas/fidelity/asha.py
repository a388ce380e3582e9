"""Asynchronous successive halving, by stopping."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from kubenas.fidelity.base import Scheduler, Stop, Training, Value, geometric, highest
from kubenas.fidelity.ranks import AtRungs, Place, better_ones, place

if TYPE_CHECKING:
    from kubenas.fidelity.curves import Ordered, RungCurves


class ASHA(Scheduler):
    """At each rung the best 1/eta go on.

    Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020. Theirs promotes 1/eta, rounded
    down: who is not promoted yet waits. What is stopped is lost, so here 1/eta is rounded up, and `top` go on at least.
    Candidates are judged again with each one that comes after them. Other implementations of stopping judge a
    candidate once, when it comes to a rung: what goes on there depends on the order of arrival, and a bad one that came
    early trains to the end.

    Several objectives are compared by non-dominated sorting.
    """

    def __init__(self, epochs: int, *, min_epochs: int, eta: int, top: int = 1) -> None:
        self.rungs = geometric(min_epochs, eta, epochs)
        self._eta: Final = eta
        self._top: Final = top

    def stops(self, curves: RungCurves, running: Collection[Training]) -> dict[Training, Stop]:
        """Those that are not among the best 1/eta, or the best `top`, at the highest rung that they have reached."""
        known, found = curves.order(AtRungs(self.rungs)), dict[Training, Stop]()
        for one in running:
            curve = curves.get(one, {})
            rung = highest(curve, self.rungs)
            if rung is None:
                continue
            here = known[rung]
            go_on = max(self._top, -(-len(here) // self._eta))
            stop = stopped_at(here, rung, one, curve[rung], go_on)
            if stop:
                found[one] = stop
        return found


def stopped_at(known: Ordered[Place], rung: int, one: Training, value: Value, go_on: int) -> Stop | None:
    """Whether a candidate is stopped at a rung that so many of all that have come there go on from."""
    better = better_ones(known, place(one, value))
    why = f"{better} of {len(known)} candidates were better after {rung} epochs; {go_on} go on"
    return Stop(rung, why) if better >= go_on else None
