"""Hyperband, asynchronously."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, Final

from kubenas.fidelity.asha import stopped_at
from kubenas.fidelity.base import RungCurve, Scheduler, Stop, Training, geometric, highest
from kubenas.fidelity.ranks import Place, place

if TYPE_CHECKING:
    from kubenas.fidelity.curves import RungCurves


@dataclass(frozen=True)
class _InBrackets:
    """Candidates by their bracket and the rungs of it that they have come to; the brackets of trials come in turns."""

    rungs: tuple[int, ...]
    turns: tuple[int, ...]

    def __call__(self, training: Training, curve: RungCurve) -> dict[Hashable, Place]:
        bracket = self.of(training.trial)
        return {(bracket, rung): place(training, curve[rung]) for rung in self.rungs[bracket:] if rung in curve}

    def of(self, trial: int) -> int:
        return self.turns[trial % len(self.turns)]


class Hyperband(Scheduler):
    """Successive halving in brackets, each with another first rung, all run side by side (Li et al., JMLR 2018).

    A bracket is given as many candidates as Hyperband would begin there, in turns of trials: one with a later first
    rung has fewer, and they are safe for longer. Candidates are compared with those of their bracket, by `ASHA`; the
    last bracket trains all of its few to the end.
    """

    def __init__(self, epochs: int, *, min_epochs: int, eta: int) -> None:
        self.rungs = geometric(min_epochs, eta, epochs)
        self._eta: Final = eta
        last = len(self.rungs)
        # Candidates that a bracket with s rungs begins with, in a round of all brackets (their equation 1).
        begun = [-(-(last + 1) * eta**s // (s + 1)) for s in range(last, -1, -1)]
        round_of = [number for number, count in enumerate(begun) for _ in range(count)]
        turns = tuple(round_of[place] for place in _scattered(len(round_of)))
        self._brackets: Final = _InBrackets(self.rungs, turns)

    def bracket(self, trial: int) -> int:
        """Which bracket the candidates of a trial are in: the number of its first rung."""
        return self._brackets.of(trial)

    def stops(self, curves: RungCurves, running: Collection[Training]) -> dict[Training, Stop]:
        """Those that are not among the best 1/eta of their bracket."""
        known, found = curves.order(self._brackets), dict[Training, Stop]()
        for one in running:
            curve, bracket = curves.get(one, {}), self.bracket(one.trial)
            rung = highest(curve, self.rungs[bracket:])
            if rung is None:
                continue
            here = known[bracket, rung]
            stop = stopped_at(here, rung, one, curve[rung], -(-len(here) // self._eta))
            if stop:
                found[one] = stop
        return found


def _scattered(count: int) -> list[int]:
    """The numbers below `count`, in an order in which neighbours are far apart, so that brackets fill evenly."""
    step = max(1, round(count * 0.618))
    while gcd(step, count) != 1:
        step += 1
    return [number * step % count for number in range(count)]
