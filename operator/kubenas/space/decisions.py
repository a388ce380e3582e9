"""Decisions, and what switches them on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubenas.space.architecture import Value
from kubenas.space.domains import Domain


@dataclass(frozen=True)
class When:
    """What switches a decision on: an earlier one that has one of these values."""

    decision: str
    values: frozenset[Value]


@dataclass(frozen=True)
class Decision:
    """One decision of an architecture; without `when` every architecture takes it."""

    name: str
    domain: Domain
    when: When | None = None

    def is_active(self, decided: Mapping[str, Value]) -> bool:
        """Whether it is taken after what is decided."""
        return self.when is None or decided.get(self.when.decision) in self.when.values

    def when_in(self, values: Iterable[Value]) -> When:
        """What switches others on where this decision has one of `values`."""
        return When(self.name, frozenset(values))
