"""Draws of architectures that satisfy constraints, however few those are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from random import Random
from typing import Final, Protocol

from kubenas.space.architecture import Architecture, Value
from kubenas.space.constraint import Constraint
from kubenas.space.decisions import Decision
from kubenas.space.domains import Number

# Draws by rejection before other means are taken. This and the numbers below are for spaces of `REFERENCE_EFFORT`.
MAX_DRAWS: Final = 10_000
# Draws that estimate how often one satisfies the constraints, and how many must for rejection to be used at all.
PROBE_DRAWS: Final = 1_000
MIN_HITS: Final = 2
# The largest number of assignments that are listed.
MAX_LISTED: Final = 200_000
# Repairs that are begun, and steps of each.
REPAIRS: Final = 8
REPAIR_STEPS: Final = 1_000
# Mutations of an architecture that was found before, where repairs do not find one.
WALK_STEPS: Final = 64
# In a space of more effort than this all numbers above are less, so that they take no longer.
REFERENCE_EFFORT: Final = 128


class EmptySpaceError(ValueError):
    """No architecture of the space is within its constraints, or none was found."""


class Samplable(Protocol):
    """What a sampler needs of a space; `Space` says what each is."""

    @property
    def constraints(self) -> Sequence[Constraint]: ...  # noqa: D102
    @property
    def effort(self) -> int: ...  # noqa: D102
    @property
    def assignments(self) -> int | None: ...  # noqa: D102
    def try_sample(self, rng: Random) -> Architecture | None: ...  # noqa: D102
    def enumerate(self) -> Iterator[Architecture]: ...  # noqa: D102
    def complete(self, decided: Mapping[str, Value], rng: Random) -> Architecture: ...  # noqa: D102
    def active(self, architecture: Mapping[str, Value]) -> Iterator[Decision]: ...  # noqa: D102
    def violation(self, architecture: Architecture) -> float: ...  # noqa: D102
    def mutate(self, architecture: Architecture, rng: Random) -> Architecture: ...  # noqa: D102
    def mutate_unconstrained(self, architecture: Architecture, rng: Random) -> Architecture: ...  # noqa: D102


def max_listed(effort: int) -> int:
    """The largest number of assignments that are listed in a space of this effort."""
    return _scaled(MAX_LISTED, effort)


def _scaled(number: int, effort: int) -> int:
    """At most `number`, and fewer the more effort beyond `REFERENCE_EFFORT` each takes."""
    return max(1, min(number, number * REFERENCE_EFFORT // max(1, effort)))


class Sampler:
    """Draws from one space by rejection; where that rejects too many, from a list, or by repair if it is too long.

    A repair starts at a draw that violates constraints and changes one decision after another, keeping changes that do
    not increase the violation (min-conflicts, Minton et al. 1992). Its draws are not uniform: architectures that more
    repairs lead to are more likely. Where repairs fail, an architecture that was found before is mutated many times, so
    that a space which gave one architecture always gives one.
    """

    def __init__(self, space: Samplable) -> None:
        self._space = space

    def sample(self, rng: Random) -> Architecture:
        """One architecture, a function of the random numbers alone.

        Raises:
            EmptySpaceError: there is none, or none was found.
        """
        for _ in range(0 if self._rare else _scaled(MAX_DRAWS, self._space.effort)):
            if (architecture := self._space.try_sample(rng)) is not None:
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
        for _ in range(_scaled(WALK_STEPS, self._space.effort)):
            architecture = self._space.mutate(architecture, rng)
        return architecture

    @cached_property
    def _rare(self) -> bool:
        rng, hits = Random(0), 0
        for _ in range(_scaled(PROBE_DRAWS, self._space.effort) if self._space.constraints else 0):
            hits += self._space.try_sample(rng) is not None
            if hits == MIN_HITS:
                return False
        return bool(self._space.constraints)

    @cached_property
    def _listed(self) -> tuple[Architecture, ...] | None:
        total = self._space.assignments
        return tuple(self._space.enumerate()) if total is not None and total <= max_listed(self._space.effort) else None

    @cached_property
    def _first(self) -> Architecture | None:
        return self._repaired(Random(0))

    def _repaired(self, rng: Random) -> Architecture | None:
        for _ in range(REPAIRS):
            architecture = self._space.complete({}, rng)
            violation = self._space.violation(architecture)
            for _ in range(_scaled(REPAIR_STEPS, self._space.effort)):
                if violation == 0.0:
                    return architecture
                changed = self._repair_step(architecture, rng)
                remaining = self._space.violation(changed)
                if remaining <= violation:
                    architecture, violation = changed, remaining
        return None

    def _repair_step(self, architecture: Architecture, rng: Random) -> Architecture:
        """One decision changed; steps of numbers have all sizes, as few of their values satisfy an equation."""
        decision = rng.choice([*self._space.active(architecture)])
        if not isinstance(decision.domain, Number) or rng.random() < 0.5:
            return self._space.mutate_unconstrained(architecture, rng)
        value = decision.domain.stepped(architecture[decision.name], rng)
        return self._space.complete({**architecture, decision.name: value}, rng)
