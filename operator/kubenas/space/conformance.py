"""What every search space must hold to, as checks that a space's own tests call.

Example:
    def test_conforms() -> None:
        check_space(MySpace())
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from random import Random
from typing import Any, Final

from kubenas.space.architecture import Architecture, InvalidArchitectureError
from kubenas.space.base import Space

DRAWS: Final = 200
# Larger spaces are enumerated only this far.
ENUMERATED: Final = 7_000
# Architectures whose neighbours are checked: each has many.
NEIGHBOURHOODS: Final = 20
# Draws for each architecture of a space whose draws are counted, and the normal quantile of one in ten thousand.
DRAWS_EACH: Final = 40
QUANTILE: Final = 3.72


def check_space(space: Space) -> None:
    """All checks of this module.

    Raises:
        AssertionError: the space breaks a promise of `Space`; the message says which.
    """
    check_draws_repeat(space)
    check_json(space)
    check_mutation(space)
    check_neighbours(space)
    check_crossover(space)
    check_numbers(space)
    check_enumeration(space)
    check_text(space)
    check_refusals(space)


def check_draws_repeat(space: Space) -> None:
    """Equal seeds draw equal architectures; a space of several does not always give the same one."""
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
    """A mutation changes one decision, and what that switches on or off; equal random numbers give equal ones."""
    for seed, architecture in enumerate(_sampled(space)):
        mutated = space.mutate(architecture, Random(seed))
        require(mutated == space.mutate(architecture, Random(seed)), "mutate depends on more than its random numbers")
        require(space.parse(mutated.to_json()) == mutated, f"{mutated!r} is outside the space")
        changed = [name for name in architecture if name in mutated and mutated[name] != architecture[name]]
        require(len(changed) == (0 if mutated == architecture else 1), f"a mutation changed {changed}")


def check_neighbours(space: Space) -> None:
    """Neighbours are in the space, differ from the architecture and from each other, and are always the same ones."""
    for architecture in _sampled(space)[:NEIGHBOURHOODS]:
        neighbours = space.neighbours(architecture)
        require(neighbours == space.neighbours(architecture), "an architecture has other neighbours when asked again")
        require(len(set(neighbours)) == len(neighbours), f"{architecture!r} has a neighbour twice")
        require(architecture not in neighbours, f"{architecture!r} is a neighbour of itself")
        for neighbour in neighbours:
            require(space.parse(neighbour.to_json()) == neighbour, f"{neighbour!r} is outside the space")


def check_crossover(space: Space) -> None:
    """A child is in the space, has what both parents decide from one of them, and is the parent where both are one."""
    parents = _sampled(space)
    for seed, (first, second) in enumerate(zip(parents, reversed(parents), strict=True)):
        child = space.crossover(first, second, Random(seed))
        require(child == space.crossover(first, second, Random(seed)), "crossover depends on more than its arguments")
        require(space.parse(child.to_json()) == child, f"{child!r} is outside the space")
        for name, value in child.items():
            if name in first and name in second:
                require(value in (first[name], second[name]), f"{name} is {value!r}, which neither parent has")
        require(space.crossover(first, first, Random(seed)) == first, f"{first!r} has another child with itself")


def check_numbers(space: Space) -> None:
    """Rows of an encoding are finite and have one length; costs are finite and have the same names everywhere."""
    sampled = _sampled(space)
    require("one-hot" in space.encodings, "there is no encoding one-hot")
    for name, encode in space.encodings.items():
        rows = [encode(architecture) for architecture in sampled]
        require(len({len(row) for row in rows}) == 1, f"the encoding {name} has rows of different lengths")
        require(all(math.isfinite(number) for row in rows for number in row), f"the encoding {name} is not finite")
    costs = [space.costs(architecture) for architecture in sampled]
    require(len({tuple(each) for each in costs}) == 1, "architectures have different costs")
    require(all(math.isfinite(cost) for each in costs for cost in each.values()), "a cost is not finite")


def check_uniform(space: Space) -> None:
    """Draws are uniform over the keys of a small space without numbers on a log scale (a chi-square test)."""
    keys = [space.key(architecture) for architecture in space.enumerate()]
    rng, expected, freedom = Random(0), float(DRAWS_EACH), len(keys) - 1
    counts = Counter(space.key(space.sample(rng)) for _ in range(DRAWS_EACH * len(keys)))
    require(set(counts) <= set(keys), "a draw is not enumerated")
    statistic = sum((counts[key] - expected) ** 2 / expected for key in keys)
    # The quantile of chi-square (Wilson & Hilferty 1931).
    spread = 2 / (9 * max(freedom, 1))
    bound = freedom * (1 - spread + QUANTILE * math.sqrt(spread)) ** 3
    require(statistic <= bound, f"draws are uneven: chi-square {statistic:.1f} with {freedom} degrees of freedom")


def check_enumeration(space: Space) -> None:
    """`enumerate` gives every key once, as many as `size` says, and every architecture drawn is among them.

    A space without a size may refuse; if not, its first architectures are checked.
    """
    size = space.size()
    try:
        listed = list(islice(space.enumerate(), ENUMERATED))
    except ValueError:
        require(size is None, f"size is {size}, but enumerate refuses")
        return
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
