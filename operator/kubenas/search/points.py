"""Points of the unit cube as architectures."""

from __future__ import annotations

from collections.abc import Sequence

from kubenas.space.architecture import Architecture, Value
from kubenas.space.base import Space


def architecture_at(space: Space, point: Sequence[float]) -> Architecture:
    """The architecture at a point, which has a number from 0 to 1 for each decision; constraints are not heeded."""
    decided: dict[str, Value] = {}
    shares = dict(zip(space.decisions, point, strict=False))
    while (decision := space.next_decision(decided)) is not None:
        decided[decision.name] = decision.domain.at_share(shares[decision.name])
    return Architecture(decided)
