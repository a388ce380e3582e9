"""Spaces whose architectures' costs follow by arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kubenas.space.base import Architecture
from kubenas.space.decisions import Decision, DecisionSpace

Costs = Callable[[Architecture], dict[str, float]]


class CostedSpace(DecisionSpace):
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


def layer_values(architecture: Architecture, name: str) -> list[float]:
    """The numbers of `name.0`, `name.1` and so on, as many as are switched on."""
    values: list[float] = []
    while (layer := f"{name}.{len(values)}") in architecture:
        values.append(float(architecture[layer]))
    return values
