"""Draws of architectures that constraints allow, however few those are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from random import Random
from typing import Final, Protocol

from kubenas.space.architecture import Architecture, Value
from kubenas.space.constraint import Constraint
from kubenas.space.decisions import Decision
from kubenas.space.domains import Number

# Draws before one is made by other means, where a space is not too large for so many.
DRAWS: Final = 10_000
# Draws to see how often constraints are met by chance, and how many must be for draws to be made by chance alone.
PROBED: Final = 1_000
LEAST: Final = 2
# The largest number of assignments that are gone through one by one, likewise.
COUNTED: Final = 200_000
# Repairs that are begun, and changes that each may try, likewise.
REPAIRS: Final = 8
CHANGES: Final = 1_000
# Steps away from an architecture that was found before, where repairs do not find one.
WALK: Final = 64
# What the numbers above are for: a space of so much `effort`, or of less.
EFFORT: Final = 128


class EmptySpaceError(ValueError):
    """No architecture of the space is within its constraints, or none was found."""


class Samplable(Protocol):
    """What is asked of a space to draw from it; see `Space`."""

    @property
    def constraints(self) -> Sequence[Constraint]: ...  # noqa: D102
    @property
    def effort(self) -> int: ...  # noqa: D102
    @property
    def assignments(self) -> int | None: ...  # noqa: D102
    def attempt(self, rng: Random) -> Architecture | None: ...  # noqa: D102
    def enumerate(self) -> Iterator[Architecture]: ...  # noqa: D102
    def complete(self, decided: Mapping[str, Value], rng: Random) -> Architecture: ...  # noqa: D102
    def active(self, architecture: Mapping[str, Value]) -> Iterator[Decision]: ...  # noqa: D102
    def violation(self, architecture: Architecture) -> float: ...  # noqa: D102
    def mutate(self, architecture: Architecture, rng: Random) -> Architecture: ...  # noqa: D102
    def changed(self, architecture: Architecture, rng: Random) -> Architecture: ...  # noqa: D102


def max_listed(effort: int) -> int:
    """The largest number of assignments that are gone through one by one, in a space of so much effort."""
    return _scaled(COUNTED, effort)


def _scaled(number: int, effort: int) -> int:
    """As many as take no longer than `number` of them for a space of `EFFORT`."""
    return max(1, min(number, number * EFFORT // max(1, effort)))


class Sampler:
    """Draws from one space: by chance; where that rarely hits, from a list, or by repair where there are too many.

    A repair begins at a draw that breaks constraints and makes one change after another, each of which breaks them no
    more than before (min-conflicts, Minton et al. 1992). What it comes to is not as likely as all else: architectures
    that many others lead to are drawn more often. Where repairs fail, a walk leads away from one that was found first:
    a space that was drawn from once can always be drawn from.
    """

    def __init__(self, space: Samplable) -> None:
        self._space = space

    def sample(self, rng: Random) -> Architecture:
        """One architecture, a function of the random numbers alone.

        Raises:
            EmptySpaceError: there is none, or none was found.
        """
        for _ in range(0 if self._rare else _scaled(DRAWS, self._space.effort)):
            if (architecture := self._space.attempt(rng)) is not None:
                return architecture
        if self._listed is not None:
            if not self._listed:
                raise EmptySpaceError("the constraints leave no architecture")
            return rng.choice(self._listed)
        if (architecture := self._repaired(rng)) is not None:
            return architecture
        if self._first is None:
            raise EmptySpaceError("the constraints leave no architecture, or too few to find")
        architecture = self._first
        for _ in range(_scaled(WALK, self._space.effort)):
            architecture = self._space.mutate(architecture, rng)
        return architecture

    @cached_property
    def _rare(self) -> bool:
        rng, met = Random(0), 0
        for _ in range(_scaled(PROBED, self._space.effort) if self._space.constraints else 0):
            met += self._space.attempt(rng) is not None
            if met == LEAST:
                return False
        return bool(self._space.constraints)

    @cached_property
    def _listed(self) -> tuple[Architecture, ...] | None:
        ways = self._space.assignments
        return tuple(self._space.enumerate()) if ways is not None and ways <= max_listed(self._space.effort) else None

    @cached_property
    def _first(self) -> Architecture | None:
        return self._repaired(Random(0))

    def _repaired(self, rng: Random) -> Architecture | None:
        for _ in range(REPAIRS):
            architecture = self._space.complete({}, rng)
            broken = self._space.violation(architecture)
            for _ in range(_scaled(CHANGES, self._space.effort)):
                if broken == 0.0:
                    return architecture
                changed = self._changed(architecture, rng)
                still = self._space.violation(changed)
                if still <= broken:
                    architecture, broken = changed, still
        return None

    def _changed(self, architecture: Architecture, rng: Random) -> Architecture:
        """One decision changed; a number now far, now near, as an equation is met by few of its values."""
        decision = rng.choice([*self._space.active(architecture)])
        if not isinstance(decision.domain, Number) or rng.random() < 0.5:
            return self._space.changed(architecture, rng)
        value = decision.domain.stepped(architecture[decision.name], rng)
        return self._space.complete({**architecture, decision.name: value}, rng)
