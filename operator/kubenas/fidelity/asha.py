"""Asynchronous successive halving, by stopping."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from kubenas.fidelity.base import RungCurves, Scheduler, Stop, Training, geometric, highest
from kubenas.fidelity.ranks import at_rung, better_ones


class ASHA(Scheduler):
    """At each rung the best 1/eta go on.

    Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020. Of fewer than `eta` candidates at a
    rung the best goes on: with a large `eta`, as rungs far apart ask for, the first ones would else be trained to the
    end whatever they are. Candidates are judged again with each one that comes after them. Other implementations of
    stopping judge a candidate once, when it comes to a rung: what goes on there depends on the order of arrival, and a
    bad one that came early trains to the end.

    Several objectives are compared by non-dominated sorting.
    """

    def __init__(self, epochs: int, *, min_epochs: int, eta: int) -> None:
        self.rungs = geometric(min_epochs, eta, epochs)
        self._eta: Final = eta

    def stops(self, curves: RungCurves, running: Collection[Training]) -> dict[Training, Stop]:
        """Those that are not among the best 1/eta at the highest rung that they have reached."""
        found: dict[Training, Stop] = {}
        for rung in self.rungs:
            here = [one for one in running if highest(curves.get(one, {}), self.rungs) == rung]
            known = at_rung(curves, rung) if here else {}
            go_on = max(1, len(known) // self._eta)
            better = better_ones(known)
            for one in here:
                if better[one] >= go_on:
                    why = f"{better[one]} of {len(known)} candidates were better after {rung} epochs; {go_on} go on"
                    found[one] = Stop(rung, why)
        return found
