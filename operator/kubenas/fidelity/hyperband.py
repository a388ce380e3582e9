"""Hyperband, asynchronously."""

from __future__ import annotations

from collections.abc import Collection
from itertools import accumulate
from math import gcd

from kubenas.fidelity.asha import ASHA
from kubenas.fidelity.base import RungCurves, Scheduler, Stop, Training, geometric


class Hyperband(Scheduler):
    """Successive halving in brackets, each with another first rung, all run side by side (Li et al., JMLR 2018).

    A bracket is given as many candidates as Hyperband would begin there, in turns of trials: one with a later first
    rung has fewer, and they are safe for longer. Candidates are compared with those of their bracket, by `ASHA`; the
    last bracket trains all of its few to the end.
    """

    def __init__(self, epochs: int, *, min_epochs: int, eta: int) -> None:
        self.rungs = geometric(min_epochs, eta, epochs)
        self._brackets = [ASHA(epochs, min_epochs=rung, eta=eta) for rung in self.rungs]
        last = len(self.rungs)
        # Candidates that a bracket with s rungs begins with, in a round of all brackets (their equation 1).
        begun = [-(-(last + 1) * eta**s // (s + 1)) for s in range(last, -1, -1)]
        self._ends = [*accumulate(begun)]

    def bracket(self, trial: int) -> int:
        """Which bracket the candidates of a trial are in: the number of its first rung."""
        place = _scattered(trial, self._ends[-1])
        return next(number for number, end in enumerate(self._ends) if place < end)

    def stops(self, curves: RungCurves, running: Collection[Training]) -> dict[Training, Stop]:
        """Those that are not among the best 1/eta of their bracket."""
        found: dict[Training, Stop] = {}
        for number, bracket in enumerate(self._brackets):
            own = {one: curve for one, curve in curves.items() if self.bracket(one.trial) == number}
            found |= bracket.stops(own, [one for one in running if one in own])
        return found


def _scattered(number: int, count: int) -> int:
    """`number` modulo `count`, in an order in which neighbours are far apart, so that brackets fill evenly."""
    step = max(1, round(count * 0.618))
    while gcd(step, count) != 1:
        step += 1
    return number * step % count
