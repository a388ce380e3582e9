"""Hyperband, asynchronously."""

from __future__ import annotations

from collections.abc import Collection
from math import gcd

from kubenas.fidelity.asha import ASHA
from kubenas.fidelity.base import RungCurve, RungCurves, Scheduler, Stop, Training, geometric


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
        round_of = [number for number, count in enumerate(begun) for _ in range(count)]
        self._round = [round_of[place] for place in _scattered(len(round_of))]

    def bracket(self, trial: int) -> int:
        """Which bracket the candidates of a trial are in: the number of its first rung."""
        return self._round[trial % len(self._round)]

    def stops(self, curves: RungCurves, running: Collection[Training]) -> dict[Training, Stop]:
        """Those that are not among the best 1/eta of their bracket."""
        # The last one has no rung.
        own: list[dict[Training, RungCurve]] = [{} for _ in (*self._brackets, None)]
        for one, curve in curves.items():
            own[self.bracket(one.trial)][one] = curve
        found: dict[Training, Stop] = {}
        for bracket, there in zip(self._brackets, own, strict=False):
            found |= bracket.stops(there, [one for one in running if one in there])
        return found


def _scattered(count: int) -> list[int]:
    """The numbers below `count`, in an order in which neighbours are far apart, so that brackets fill evenly."""
    step = max(1, round(count * 0.618))
    while gcd(step, count) != 1:
        step += 1
    return [number * step % count for number in range(count)]
