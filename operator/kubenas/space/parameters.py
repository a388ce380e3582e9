"""Spaces of named parameters: choices, ordered values, whole numbers, numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubenas.space.decisions import Decision, DecisionSpace
from kubenas.space.domains import Domain, Int, Ordinal


class ParameterSpace(DecisionSpace):
    """Every combination of the values of named, independent parameters."""

    def __init__(self, domains: Mapping[str, Domain]) -> None:
        super().__init__([Decision(name, domain) for name, domain in domains.items()])


def layers(name: str, domain: Domain, count: Decision) -> list[Decision]:
    """A decision for each layer, `name.0`, `name.1` and so on; `count` says how many are switched on."""
    depths = [int(value) for value in numbers(count.domain)]
    return [
        Decision(f"{name}.{layer}", domain, count.having(depth for depth in depths if depth > layer))
        for layer in range(max(depths))
    ]


def numbers(domain: Domain) -> Sequence[int | float]:
    """The values of an int, or of an ordinal of numbers; empty for others."""
    if not isinstance(domain, Int | Ordinal):
        return ()
    values = [domain.at(place) for place in range(domain.size())]
    return [] if any(isinstance(value, str) for value in values) else [v for v in values if not isinstance(v, str)]
