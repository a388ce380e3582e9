"""Draws of architectures that constraints allow, however few those are."""

from __future__ import annotations

from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kubenas.space.base import Architecture
    from kubenas.space.decisions import DecisionSpace

# Draws before one is made by other means.
DRAWS: Final = 10_000
# Draws to see how often constraints are met by chance, and how many must be for draws to be made by chance alone.
PROBED: Final = 1_000
LEAST: Final = 2
# The largest number of assignments that are gone through one by one.
COUNTED: Final = 200_000
# Repairs that are begun, and changes that each may try.
REPAIRS: Final = 8
CHANGES: Final = 1_000


class EmptySpaceError(ValueError):
    """No architecture of the space is within its constraints, or none was found."""


class Sampler:
    """Draws from one space: by chance; where that rarely hits, from a list, or by repair where there are too many.

    A repair begins at a draw that breaks constraints and makes one change after another, each of which breaks them no
    more than before (min-conflicts, Minton et al. 1992). What it comes to is not as likely as all else: architectures
    that many others lead to are drawn more often.
    """

    def __init__(self, space: DecisionSpace) -> None:
        self._space = space

    def sample(self, rng: Random) -> Architecture:
        """One architecture, a function of the random numbers alone.

        Raises:
            EmptySpaceError: there is none, or none was found.
        """
        for _ in range(0 if self._rare else DRAWS):
            if (architecture := self._space.attempt(rng)) is not None:
                return architecture
        if self._listed is not None:
            if not self._listed:
                raise EmptySpaceError("the constraints leave no architecture")
            return rng.choice(self._listed)
        for _ in range(REPAIRS):
            if (architecture := self._repaired(rng)) is not None:
                return architecture
        raise EmptySpaceError("the constraints leave no architecture, or too few to find")

    @cached_property
    def _rare(self) -> bool:
        rng, met = Random(0), 0
        for _ in range(PROBED if self._space.constraints else 0):
            met += self._space.attempt(rng) is not None
            if met == LEAST:
                return False
        return bool(self._space.constraints)

    @cached_property
    def _listed(self) -> tuple[Architecture, ...] | None:
        ways = self._space.assignments
        return tuple(self._space.enumerate()) if ways is not None and ways <= COUNTED else None

    def _repaired(self, rng: Random) -> Architecture | None:
        architecture = self._space.complete({}, rng)
        broken = self._space.violation(architecture)
        for _ in range(CHANGES):
            if broken == 0.0:
                return architecture
            changed = self._space.changed(architecture, rng)
            still = self._space.violation(changed)
            if still <= broken:
                architecture, broken = changed, still
        return None
