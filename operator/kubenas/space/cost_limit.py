"""Limits on costs."""

from __future__ import annotations

from dataclasses import dataclass

from kubenas.space.architecture import Architecture
from kubenas.space.base import Space


@dataclass(frozen=True)
class CostLimit:
    """A constraint on a cost, in CEL as it would be written.

    Attributes:
        upper: whether the cost must be at most the limit, or at least.
    """

    space: Space
    cost: str
    limit: float
    upper: bool

    def __call__(self, architecture: Architecture) -> bool:
        """Whether it is kept."""
        return self.violation(architecture) == 0.0

    def violation(self, architecture: Architecture) -> float:
        """How far the cost is beyond the limit, in the cost's unit."""
        excess = self.space.costs(architecture)[self.cost] - self.limit
        return max(0.0, excess if self.upper else -excess)

    def __str__(self) -> str:
        return f"{self.cost} {'<=' if self.upper else '>='} {self.limit!r}"
