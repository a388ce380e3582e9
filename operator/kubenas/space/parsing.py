"""Decisions in JSON documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubenas.space.architecture import Architecture, InvalidArchitectureError, Value
from kubenas.space.decisions import Decision


def parse_decisions(document: Any, decisions: Mapping[str, Decision]) -> Architecture:
    """The architecture in an object with just the decisions that are switched on.

    Raises:
        InvalidArchitectureError: it is no object, or a decision is missing, unknown, not switched on, or has a value
            outside its domain.
    """
    if not isinstance(document, Mapping):
        raise InvalidArchitectureError(
            f"an architecture is an object of the decisions {_listed(decisions)}, not {document!r:.80}"
        )
    if unknown := [name for name in document if name not in decisions]:
        raise InvalidArchitectureError(f"{unknown[0]!r:.80} is no decision: the decisions are {_listed(decisions)}")
    values: dict[str, Value] = {}
    for decision in decisions.values():
        if not decision.is_active(values):
            continue
        if decision.name not in document:
            raise InvalidArchitectureError(f"{decision.name} is missing")
        try:
            values[decision.name] = decision.domain.parse(document[decision.name])
        except ValueError as error:
            raise InvalidArchitectureError(f"{decision.name}: {error}") from None
    for name in document:
        if name not in values:
            when = decisions[name].when
            raise InvalidArchitectureError(
                f"{name} is not switched on by {when.decision if when else name}: leave it out"
            )
    return Architecture(values)


def _listed(names: Mapping[str, object]) -> str:
    shown = list(names)[:12]
    return ", ".join(shown) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
