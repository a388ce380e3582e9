"""Decisions that are repeated for each layer, as `NAME.0`, `NAME.1` and so on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from kubenas.space.architecture import Architecture, Value
from kubenas.space.decisions import Decision
from kubenas.space.domains import Domain, Int, Ordinal

_LAYER: Final = re.compile(r"(.+)\.\d+")


def layers(name: str, domain: Domain, count: Decision) -> list[Decision]:
    """A decision for each layer, `name.0`, `name.1` and so on; `count` says how many are switched on."""
    depths = [int(value) for value in numbers(count.domain)]
    return [
        Decision(f"{name}.{layer}", domain, count.when_in(depth for depth in depths if depth > layer))
        for layer in range(max(depths))
    ]


def numbers(domain: Domain) -> Sequence[int | float]:
    """The values of an int, or of an ordinal of numbers; empty for others."""
    if not isinstance(domain, Int | Ordinal):
        return ()
    values = [domain.at(index) for index in range(domain.size())]
    return [] if any(isinstance(value, str) for value in values) else [v for v in values if not isinstance(v, str)]


def by_layer(values: Mapping[str, Value | None]) -> dict[str, list[Value]]:
    """The values of `NAME.0`, `NAME.1` and so on as a list, by `NAME`; None is left out."""
    found: dict[str, list[Value]] = {}
    for name, value in values.items():
        if (match := _LAYER.fullmatch(name)) and match[1] not in values:
            found.setdefault(match[1], [])
            if value is not None:
                found[match[1]].append(value)
    return found


def layers_of(name: str, decisions: Mapping[str, Decision]) -> list[Decision]:
    """The decisions `name.0`, `name.1` and so on."""
    return [one for one in decisions.values() if (match := _LAYER.fullmatch(one.name)) and match[1] == name]


def layer_values(architecture: Architecture, name: str) -> list[float]:
    """The numbers of `name.0`, `name.1` and so on, as many as are switched on."""
    values: list[float] = []
    while (layer := f"{name}.{len(values)}") in architecture:
        values.append(float(architecture[layer]))
    return values
