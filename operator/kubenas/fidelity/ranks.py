"""Who is better at a rung."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kubenas.fidelity.base import RungCurve, Training, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kubenas.fidelity.curves import Ordered


class Place(NamedTuple):
    """A candidate at a rung: the better by its score comes first, of equal ones the one that was proposed first."""

    violation: float
    loss: float
    training: Training
    value: Value


@dataclass(frozen=True)
class AtRungs:
    """Candidates by the rungs that they have come to."""

    rungs: tuple[int, ...]

    def __call__(self, training: Training, curve: RungCurve) -> dict[Hashable, Place]:
        """The candidate's place at each."""
        return {rung: place(training, curve[rung]) for rung in self.rungs if rung in curve}


def place(training: Training, value: Value) -> Place:
    """A candidate's place among those at a rung."""
    return Place(-value.score[0], -value.score[1], training, value)


def better_ones(known: Ordered[Place], one: Place) -> int:
    """How many are better than a candidate that is among them: equal ones are not better than each other.

    By the score; where several objectives are traded off, those within the limits by the front that they are in, as
    non-dominated sorting peels them off (Srinivas & Deb, Evolutionary Computation 1994; in successive halving Schmucker
    et al., "Multi-objective Asynchronous Successive Halving", 2021), and in a front by the primary objective. What
    breaks a limit dominates nothing (Deb 2000).
    """
    if len(one.value.values) == 1:
        return bisect_left(known, one[:2])
    return int(known.derived(_fronts).better[bisect_left(known, one)])


def best(known: Ordered[Place], count: int) -> list[Training]:
    """So many of the best, the best first; of equal ones the one that was proposed first."""
    if not known or len(known[0].value.values) == 1:
        return [one.training for one in known[:count]]
    return [known[index].training for index in known.derived(_fronts).order[:count].tolist()]


@dataclass(frozen=True)
class _Fronts:
    """How many are better than each, and the order of all: the best first."""

    better: NDArray[np.int64]
    order: NDArray[np.int64]


def _fronts(known: Sequence[Place]) -> _Fronts:
    # only experiments that trade off objectives need it
    from moocore import pareto_rank  # noqa: PLC0415

    violations, losses = np.array([one.violation for one in known]), np.array([one.loss for one in known])
    fronts = np.zeros(len(known))
    # Those within the limits come first.
    feasible = int(np.searchsorted(violations, 0.0, side="right"))
    if feasible:
        fronts[:feasible] = pareto_rank([one.value.values for one in known[:feasible]], maximise=True)
    # Stable: in a front, and of what breaks limits as much, the order stays that by the primary objective.
    order = np.lexsort((fronts, violations))
    keys = np.stack([violations, fronts, losses])[:, order]
    new = np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0))
    better = np.empty(len(known), dtype=np.int64)
    better[order] = np.maximum.accumulate(np.where(new, np.arange(len(known)), 0))
    return _Fronts(better, order)
