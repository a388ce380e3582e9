"""What every search space must hold to, as checks that a space's own tests call.

Example:
    def test_conforms() -> None:
        check_space(MySpace())
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from random import Random
from typing import Any, Final

from kubenas.space.base import Architecture, InvalidArchitectureError, Space

DRAWS: Final = 200
# Larger spaces are enumerated only this far.
ENUMERATED: Final = 20_000


def check_space(space: Space) -> None:
    """All checks of this module.

    Raises:
        AssertionError: the space breaks a promise of `Space`; the message says which.
    """
    check_draws_repeat(space)
    check_json(space)
    check_mutation(space)
    check_enumeration(space)
    check_text(space)
    check_refusals(space)


def check_draws_repeat(space: Space) -> None:
    """Equal seeds draw equal architectures, and where there is a choice not always one."""
    require(_sampled(space) == _sampled(space), "sample depends on more than its random numbers")
    require(space.size() == 1 or len(set(_sampled(space))) > 1, "sample gives one architecture only")


def check_json(space: Space) -> None:
    """An architecture comes back from JSON as it was, whatever the order of the object."""
    for architecture in _sampled(space):
        document = json.loads(json.dumps(architecture.to_json()))
        for written in (document, dict(reversed(document.items()))):
            read = space.parse(written)
            require(read == architecture, f"{architecture!r} comes back from JSON as {read!r}")
            require(list(read) == list(architecture), f"{read!r} is not in the space's order")
            require(space.key(read) == space.key(architecture), f"{architecture!r} has two keys")


def check_mutation(space: Space) -> None:
    """A mutation changes exactly one decision and stays inside; equal random numbers give equal ones."""
    for seed, architecture in enumerate(_sampled(space)):
        mutated = space.mutate(architecture, Random(seed))
        require(mutated == space.mutate(architecture, Random(seed)), "mutate depends on more than its random numbers")
        require(space.parse(mutated.to_json()) == mutated, f"{mutated!r} is outside the space")
        changed = [decision for decision in architecture if mutated[decision] != architecture[decision]]
        require(len(changed) == (0 if space.size() == 1 else 1), f"a mutation changed {changed}")


def check_enumeration(space: Space) -> None:
    """`enumerate` gives every key once, as many as `size` says, and every architecture drawn is among them."""
    size = space.size()
    if size is None:
        try:
            space.enumerate()
        except ValueError:
            return
        raise AssertionError("the space has no size, but enumerate does not refuse")
    listed = list(islice(space.enumerate(), ENUMERATED))
    keys = {space.key(architecture) for architecture in listed}
    require(len(keys) == len(listed), f"enumerate repeats a key: {len(listed)} architectures, {len(keys)} keys")
    for architecture in listed:
        require(space.parse(architecture.to_json()) == architecture, f"{architecture!r} is outside the space")
    if len(listed) < ENUMERATED:
        require(len(listed) == size, f"size is {size}, but enumerate gives {len(listed)}")
        for architecture in _sampled(space):
            require(space.key(architecture) in keys, f"{architecture!r} is drawn but not enumerated")


def check_text(space: Space) -> None:
    """A name is one line, a drawing is there, and both follow from the architecture alone."""
    for architecture in _sampled(space):
        again = space.parse(architecture.to_json())
        name = space.name(architecture)
        require(bool(name.strip()) and len(name.splitlines()) == 1, f"{name!r} is not one line")
        require(bool(space.draw(architecture).strip()), f"the drawing of {name} is empty")
        require(space.name(again) == name, f"{name} has another name when read from JSON")
        require(space.draw(again) == space.draw(architecture), f"{name} is drawn differently when read from JSON")


def check_refusals(space: Space) -> None:
    """What is no architecture of the space is refused with `InvalidArchitectureError`."""
    architecture = _sampled(space)[0]
    document = architecture.to_json()
    decision = next(iter(document))
    rest = {name: value for name, value in document.items() if name != decision}
    wrong: list[Any] = [None, [], 7, "", {}, rest, {**document, "no such decision": 1}]
    values: tuple[Any, ...] = (None, [], {}, True, "no such value", float("nan"))
    wrong += [{**document, decision: value} for value in values]
    for written in wrong:
        try:
            space.parse(written)
        except InvalidArchitectureError as error:
            named = decision in str(error) or "no such decision" in str(error)
            require(named or not isinstance(written, Mapping), f"the message names no decision: {error}")
        else:
            raise AssertionError(f"parse accepts {written!r}")


def require(holds: bool, message: str) -> None:
    """Raise `AssertionError` with `message` unless it `holds`, also where Python leaves out assert statements."""
    if not holds:
        raise AssertionError(message)


def _sampled(space: Space) -> list[Architecture]:
    rng = Random(0)
    return [space.sample(rng) for _ in range(DRAWS)]
