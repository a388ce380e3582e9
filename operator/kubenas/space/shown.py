"""Decisions as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubenas.space.reading import by_layer

if TYPE_CHECKING:
    from kubenas.space.base import Architecture, Value
    from kubenas.space.decisions import Decision


def named(architecture: Architecture) -> str:
    """The decisions as `name=value`, numbers to six digits; those of layers as `name=value,value`."""
    layered = by_layer(architecture)
    shown: dict[str, str] = {}
    for name, value in architecture.items():
        base, _, layer = name.rpartition(".")
        if layer.isdecimal() and base in layered:
            shown[base] = ",".join(map(text, layered[base]))
        else:
            shown[name] = text(value)
    return " ".join(f"{name}={value}" for name, value in shown.items())


def drawn(architecture: Architecture, decisions: Mapping[str, Decision]) -> str:
    """One line a decision: its name, its value and the values it could have."""
    width = max(map(len, architecture))
    values = {name: text(value) for name, value in architecture.items()}
    value_width = max(map(len, values.values()))
    return "\n".join(
        f"{name:<{width}}  {value:<{value_width}}  of {decisions[name].domain}" for name, value in values.items()
    )


def text(value: Value) -> str:
    """A value for people."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
