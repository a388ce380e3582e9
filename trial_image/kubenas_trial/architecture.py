"""An architecture as a person names it at a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any

from kubenas.space.base import Architecture, InvalidArchitectureError, Space, Value
from kubenas.space.decisions import Decision
from kubenas.space.layers import by_layer
from kubenas_trial.errors import InvalidTrialError


def read_architecture(text: str, space: Space) -> Architecture:
    """The architecture in JSON, or in the notation that `space.name` writes.

    Raises:
        InvalidTrialError: it is none of this space.
    """
    try:
        if text.lstrip().startswith("{"):
            return space.parse(json.loads(text))
        try:
            return space.parse(text)
        except InvalidArchitectureError:
            # Spaces with a notation of their own parse it themselves.
            values = _read_assignments(text, space) if "=" in text else _read_in_order(text, space)
            if values is None:
                raise
        return space.parse(values)
    except json.JSONDecodeError as error:
        raise InvalidTrialError(f"architecture: is no JSON: {error}") from None
    except InvalidArchitectureError as error:
        raise InvalidTrialError(f"architecture: {error}") from None


def default_architecture(space: Space, known: Mapping[str, Value]) -> Architecture:
    """A sound architecture to begin with: the decisions that are `known`, of the others the middle value.

    Raises:
        InvalidTrialError: constraints exclude it.
    """
    values: dict[str, Value] = {}
    for decision in space.decisions.values():
        if decision.is_active(values):
            values[decision.name] = _known(decision, known)
    architecture = Architecture(values)
    for constraint in space.constraints:
        if not constraint(architecture):
            raise InvalidTrialError(
                f"architecture: the default, {space.name(architecture)}, breaks the constraint {constraint}: "
                "name one, or take a random one"
            )
    return architecture


def random_architecture(space: Space, seed: int) -> Architecture:
    """One of all, as `seed` decides."""
    return space.sample(Random(seed))


def _known(decision: Decision, known: Mapping[str, Value]) -> Value:
    if decision.name in known:
        try:
            return decision.domain.parse(known[decision.name])
        except ValueError:
            pass  # the space is narrower than the family's preset
    return decision.domain.at_share(0.5)


def _read_assignments(text: str, space: Space) -> dict[str, Value]:
    """The decisions in `name=value name=value,value`; a layered decision has one value for each active layer."""
    layered = by_layer(dict.fromkeys(space.decisions))
    left: dict[str, list[str]] = {}
    for part in text.split():
        name, _, value = part.partition("=")
        if name not in space.decisions and name not in layered:
            raise InvalidArchitectureError(f"{name!r:.80} is no decision: there are {', '.join(space.decisions)}")
        left[name] = value.split(",") if name in layered else [value]
    decided: dict[str, Value] = {}
    for name, decision in space.decisions.items():
        values = left.get(name) or left.get(name.rpartition(".")[0])
        if values and decision.is_active(decided):
            decided[name] = _value(decision, values.pop(0))
    if surplus := [name for name, values in left.items() if values]:
        raise InvalidArchitectureError(f"{surplus[0]} has {len(left[surplus[0]])} values too many")
    return decided


def _read_in_order(text: str, space: Space) -> dict[str, Value] | None:
    """The decisions one after another, where there are as many words as decisions."""
    words = text.split()
    return dict(zip(space.decisions, words, strict=True)) if len(words) == len(space.decisions) else None


def _value(decision: Decision, text: str) -> Any:
    """The text itself where that is a value, else the number that it is."""
    try:
        return decision.domain.parse(text)
    except ValueError:
        pass
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
