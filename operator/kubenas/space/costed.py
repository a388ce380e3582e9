"""Spaces whose architectures' costs follow by arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kubenas.space.architecture import Architecture
from kubenas.space.base import Space
from kubenas.space.decisions import Decision

Costs = Callable[[Architecture], dict[str, float]]


class CostedSpace(Space):
    """A space that knows what its architectures cost.

    Args:
        decisions: what makes an architecture.
        costs: gives the same costs, by name, for each architecture.
    """

    def __init__(self, decisions: Sequence[Decision], costs: Costs) -> None:
        super().__init__(decisions)
        self._costs = costs

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """What follows from the architecture by arithmetic."""
        return self._costs(architecture) | super().costs(architecture)

    @property
    def encodings(self) -> Mapping[str, Callable[[Architecture], list[float]]]:
        """`one-hot`, and `costs` in their own units."""
        return {**super().encodings, "costs": lambda architecture: list(self.costs(architecture).values())}


def whole(architecture: Architecture, name: str) -> int:
    """The value of a decision whose values are whole numbers."""
    return int(architecture[name])
