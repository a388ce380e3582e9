"""Architectures that together have every parameter of a space, each at its largest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Final

from torch import Size

from kubenas.space.base import Architecture, Space, Value
from kubenas.space.decisions import Decision
from kubenas.space.domains import Number, Ordinal
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.supernets.networks import Networks

# Rounds without news, beside half of all, after which nothing more is looked for.
_SILENT: Final = 4
# Values of which each is a part of the network of its own; of more only the ends and some between are tried.
MAX_VALUES: Final = 8


def union(space: Space, networks: Networks) -> dict[str, tuple[Size, Architecture]]:
    """Of each parameter of the space's networks the largest shape, and an architecture that is the largest there.

    A name says place and operation, and shapes grow with the ordered decisions. So these are at their largest while
    each decision takes each of its values in turn, and while stages are left out (`_add_structures`). Then all are
    drawn, round by round, as operations at one place may need others to be there. It ends once the last half of the
    rounds has found no new name or size. Constraints are ignored: they exclude architectures, not parts of them.

    Raises:
        InvalidTrialError: an architecture of the space makes no network.
    """
    found: dict[str, tuple[Size, Architecture]] = {}
    for architecture in _one_by_one(space):
        _add(found, space, networks, architecture)
    _add_structures(found, space, networks)
    news, number = 0, 0
    while number < news + max(_SILENT, number // 2):
        number += 1
        if sum(_add(found, space, networks, each) for each in _round(space, number)):
            news = number
    return found


def is_ordered(decision: Decision) -> bool:
    """Whether its values are numbers in order, such as sizes."""
    domain = decision.domain
    if isinstance(domain, Number):
        return True
    return isinstance(domain, Ordinal) and not any(isinstance(value, str) for value in domain.values)


def values_of(decision: Decision) -> list[Value]:
    """Its values in order; of a number of many values some, with both ends."""
    domain, size = decision.domain, decision.domain.size()
    if is_ordered(decision) and (size is None or size > MAX_VALUES):
        return list(dict.fromkeys(domain.at_share(index / (MAX_VALUES - 1)) for index in range(MAX_VALUES)))
    return [domain.at(index) for index in range(size or 0)]


def _largest(space: Space) -> dict[str, Value]:
    return {each.name: values_of(each)[-1] for each in space.decisions.values() if is_ordered(each)}


def _one_by_one(space: Space) -> Iterator[Architecture]:
    """All ordered decisions at their largest, but one of them at each of its other values in turn."""
    largest = _largest(space)
    yield space.complete(largest, Random(0))
    for decision in space.decisions.values():
        for value in values_of(decision)[:-1] if is_ordered(decision) else ():
            rng = Random(f"{decision.name}/{value}")
            yield space.complete({**largest, **_switched_on(space, decision), decision.name: value}, rng)


def _add_structures(found: dict[str, tuple[Size, Architecture]], space: Space, networks: Networks) -> None:
    """Add the networks of other depths, all sizes at their largest, each operation once with each.

    Behind a stage without blocks a layer's input is as wide as the last one before it. So further depths are changed
    where the change of one has brought something.
    """
    structural = _structural(space, networks)
    left = [Architecture({})]
    seen = set(left)
    while left:
        structure = left.pop()
        rows = [_add(found, space, networks, each) for each in _dealt(space, structure)]
        if structure and not any(rows):
            continue
        for name in structural:
            for value in values_of(space.decisions[name]):
                changed = Architecture({**structure, name: value})
                if changed not in seen:
                    seen.add(changed)
                    left.append(changed)


def _structural(space: Space, networks: Networks) -> list[str]:
    """The ordered decisions that say which layers there are, such as depths: others only change sizes."""
    base = space.complete(_largest(space), Random(0))
    there = _shapes(space, networks, base).keys()
    found = []
    for name, value in base.items():
        decision = space.decisions[name]
        others = [each for each in values_of(decision) if each != value] if is_ordered(decision) else []
        each = (_shapes(space, networks, space.complete({**base, name: other}, Random(0))) for other in others)
        if any(there - shapes.keys() for shapes in each if shapes):
            found.append(name)
    return found


def _dealt(space: Space, structure: Architecture) -> Iterator[Architecture]:
    """Each operation once, all sizes at their largest but for what `structure` says."""
    operations = {each.name: values_of(each) for each in space.decisions.values() if not is_ordered(each)}
    fixed = {**_largest(space), **structure}
    for row in range(max(map(len, operations.values()), default=1)):
        values = {name: each[row % len(each)] for name, each in operations.items()}
        yield space.complete(values | fixed, Random(row))


def _round(space: Space, number: int) -> Iterator[Architecture]:
    """As many as the longest decision has values, each value once: with all, most or no sizes at their largest."""
    rng, largest = Random(number), _largest(space)
    dealt = {each.name: values_of(each) for each in space.decisions.values()}
    longest = max(map(len, dealt.values()))
    for share in (1.0, 0.75, 0.0):
        order = {name: rng.sample(values, len(values)) for name, values in dealt.items()}
        for row in range(longest):
            values = {name: each[row % len(each)] for name, each in order.items()}
            yield space.complete(values | {name: size for name, size in largest.items() if rng.random() < share}, rng)


def _switched_on(space: Space, decision: Decision) -> dict[str, Value]:
    """Values by which `decision` is there, the largest of those that switch it on."""
    values: dict[str, Value] = {}
    while (when := decision.when) is not None:
        decision = space.decisions[when.decision]
        values[decision.name] = [value for value in values_of(decision) if value in when.values][-1]
    return values


def _add(
    found: dict[str, tuple[Size, Architecture]], space: Space, networks: Networks, architecture: Architecture
) -> bool:
    """Add what is new or larger; whether anything was."""
    news = False
    for name, shape in _shapes(space, networks, architecture).items():
        known, at = found.get(name, (shape, architecture))
        larger = Size(map(max, known, shape))
        if name not in found or larger != known:
            found[name] = larger, architecture if larger == shape else at
            news = True
    return news


def _shapes(space: Space, networks: Networks, architecture: Architecture) -> Mapping[str, Size]:
    """Those of its parameters; none where there is no such network, as constraints exclude it.

    Raises:
        InvalidTrialError: there is none although the space has the architecture.
    """
    try:
        return networks.shapes(architecture)
    except InvalidTrialError:
        if space.allows(architecture):
            raise
        return {}
