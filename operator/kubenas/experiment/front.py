"""The Pareto front of judged candidates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from kubenas.api.objective import Objective
from kubenas.experiment.judged import Judged
from kubenas.experiment.objectives import hypervolume


class Front:
    """A Pareto front; what follows from it is worked out once for each ending that changes it.

    Attributes:
        members: the best by the primary objective first.
    """

    def __init__(self, objectives: Sequence[Objective], members: Sequence[Judged] = ()) -> None:
        self._objectives = objectives
        self.members = tuple(members)

    def joined_by(self, judged: Judged) -> Front:
        """The front with one more candidate; of equal ones the earliest proposed stays, whatever their order."""
        if any(_before(one, judged) for one in self.members):
            return self
        kept = [one for one in self.members if not _before(judged, one)]
        return Front(self._objectives, sorted([*kept, judged], key=lambda one: one.rank, reverse=True))

    @cached_property
    def hypervolume(self) -> float | None:
        """Between the front and the objectives' references; None where one has no reference."""
        return hypervolume(self._objectives, [one.values for one in self.members])


def _before(one: Judged, other: Judged) -> bool:
    """Whether `one` makes `other` needless: as good in everything, and better in something or proposed earlier."""
    as_good = all(a >= b for a, b in zip(one.values, other.values, strict=True))
    return as_good and (one.values != other.values or one.rank > other.rank)
