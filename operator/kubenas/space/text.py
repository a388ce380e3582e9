"""Decisions as people read them."""

from __future__ import annotations

from collections.abc import Mapping

from kubenas.space.architecture import Architecture, Value
from kubenas.space.decisions import Decision
from kubenas.space.layers import by_layer


def format_decisions(architecture: Architecture) -> str:
    """The decisions as `name=value`, numbers to six digits; those of layers as `name=value,value`."""
    layered = by_layer(architecture)
    shown: dict[str, str] = {}
    for name, value in architecture.items():
        base, _, layer = name.rpartition(".")
        if layer.isdecimal() and base in layered:
            shown[base] = ",".join(map(format_value, layered[base]))
        else:
            shown[name] = format_value(value)
    return " ".join(f"{name}={value}" for name, value in shown.items())


def draw_decisions(architecture: Architecture, decisions: Mapping[str, Decision]) -> str:
    """One line a decision: its name, its value and the values it could have."""
    width = max(map(len, architecture))
    values = {name: format_value(value) for name, value in architecture.items()}
    value_width = max(map(len, values.values()))
    return "\n".join(
        f"{name:<{width}}  {value:<{value_width}}  of {decisions[name].domain}" for name, value in values.items()
    )


def format_value(value: Value) -> str:
    """A value for people."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
