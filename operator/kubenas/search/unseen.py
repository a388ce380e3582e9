"""An architecture that was not proposed before."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Final
from weakref import WeakKeyDictionary

from kubenas.search.base import History
from kubenas.space.base import Architecture, Space

# Draws before what is left is listed: at least 1 % left is then missed with a chance of 13 %, at no harm.
DRAWS: Final = 200
# The largest space that is listed.
LISTED: Final = 100_000

# What is left for each history, in the order of enumeration; a history only grows, so this only gets less.
_LEFT: Final[WeakKeyDictionary[History, list[Architecture]]] = WeakKeyDictionary()


def first_unseen(
    space: Space,
    history: History,
    rng: Random,
    asked: Iterable[Architecture],
    steps: int,
    start: Architecture | None = None,
) -> Architecture | None:
    """The first of what is asked for that constraints allow and `history` has not seen; else what is near, else a draw.

    Args:
        space: to search in.
        history: of the search.
        rng: of the draws.
        asked: at least one architecture, which constraints may refuse; taken one by one.
        steps: of a walk of mutations where none of these will do.
        start: of the walk; absent: the last that was asked for, or a draw where constraints refuse that.
    """
    for architecture in asked:
        if space.allows(architecture) and not history.seen(architecture):
            return architecture
        last = architecture
    if start is None:
        start = last
    if steps and not space.allows(start):
        start = space.sample(rng)
        if not history.seen(start):
            return start
        steps -= 1
    return mutate_to_unseen(space, history, start, rng, steps) or draw_unseen(space, history, rng)


def mutate_to_unseen(
    space: Space, history: History, architecture: Architecture, rng: Random, steps: int
) -> Architecture | None:
    """The first that `history` has not seen on a walk of mutations from an architecture; None where none is met."""
    for _ in range(steps):
        architecture = space.mutate(architecture, rng)
        if not history.seen(architecture):
            return architecture
    return None


def draw_unseen(space: Space, history: History, rng: Random) -> Architecture | None:
    """One that `history` has not seen: drawn from `space`, or of what is left when draws only repeat.

    None where nothing is left, or where a space too large to list gives nothing but repeats.
    """
    size = space.size()
    if size is not None and history.distinct >= size:
        return None
    for _ in range(DRAWS):
        architecture = space.sample(rng)
        if not history.seen(architecture):
            return architecture
    if size is None or size > LISTED:
        return None
    known = _LEFT.get(history)
    candidates = space.enumerate() if known is None else known
    left = _LEFT[history] = [architecture for architecture in candidates if not history.seen(architecture)]
    return rng.choice(left) if left else None
