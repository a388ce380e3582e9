"""What a constraint is, and how far it is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from kubenas.space.architecture import Architecture

Constraint: TypeAlias = Callable[[Architecture], bool]


@runtime_checkable
class Graded(Protocol):
    """A constraint that says how far it is broken."""

    def violation(self, architecture: Architecture) -> float:
        """0 where it holds, else the more the farther from that."""


@runtime_checkable
class Weighed(Protocol):
    """A constraint that says how long it takes."""

    @property
    def effort(self) -> int:
        """As that many decisions take to be drawn."""


def effort(constraints: Sequence[Constraint]) -> int:
    """How long all take together; one that does not say so counts 1."""
    return sum(one.effort if isinstance(one, Weighed) else 1 for one in constraints)


def violation(constraints: Sequence[Constraint], architecture: Architecture) -> float:
    """How far constraints are broken, their sum; 0 where all hold. One that does not say how far counts 1."""
    return sum(
        one.violation(architecture) if isinstance(one, Graded) else float(not one(architecture)) for one in constraints
    )
