"""Costs that are sums over decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubenas.api.costs import CostTable as TableSpec
from kubenas.space.architecture import Architecture, Value


@dataclass(frozen=True)
class CostTable:
    """A cost by decision and value; what is switched off costs nothing.

    Attributes:
        spec: as it was written.
        added: what each value of a decision adds, by the decision's name.
    """

    spec: TableSpec
    added: Mapping[str, Mapping[Value, float]]

    def __call__(self, architecture: Architecture) -> float:
        """The cost, summed in the order of the decisions, so that it is always the same to the last bit."""
        return self.spec.base + sum(
            self.added[name][value] for name, value in architecture.items() if name in self.added
        )
