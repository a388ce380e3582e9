"""What a constraint is, and by how much it is violated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from kubenas.space.architecture import Architecture

Constraint: TypeAlias = Callable[[Architecture], bool]


@runtime_checkable
class HasViolation(Protocol):
    """A constraint that says by how much it is violated."""

    def violation(self, architecture: Architecture) -> float:
        """0 where it holds, else the greater the farther from that."""


@runtime_checkable
class HasEffort(Protocol):
    """A constraint that says how long it takes to evaluate."""

    @property
    def effort(self) -> int:
        """In units of the time that one decision takes to be drawn."""


def effort(constraints: Sequence[Constraint]) -> int:
    """How long all take to evaluate, in units of one decision; a constraint that does not say counts 1."""
    return sum(one.effort if isinstance(one, HasEffort) else 1 for one in constraints)


def violation(constraints: Sequence[Constraint], architecture: Architecture) -> float:
    """The sum of all violations; 0 where all hold. A violated constraint that does not say by how much counts 1."""
    return sum(
        one.violation(architecture) if isinstance(one, HasViolation) else float(not one(architecture))
        for one in constraints
    )
