"""Who is better at a rung."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from kubenas.fidelity.base import RungCurves, Training, Value

K = TypeVar("K")


def at_rung(curves: RungCurves, rung: int) -> dict[Training, Value]:
    """All candidates that have a value at a rung."""
    return {training: curve[rung] for training, curve in curves.items() if rung in curve}


def better_ones(values: Mapping[K, Value]) -> dict[K, int]:
    """How many are better than each: equal ones are not better than each other.

    By the score; where several objectives are traded off, those within the limits by the front that they are in, as
    non-dominated sorting peels them off (Srinivas & Deb, Evolutionary Computation 1994; in successive halving Schmucker
    et al., "Multi-objective Asynchronous Successive Halving", 2021), and in a front by the primary objective.
    """
    keys = {key: _key(value) for key, value in values.items()}
    if any(len(value.values) > 1 for value in values.values()):
        fronts = _fronts(values)
        keys = {key: (score[0], -fronts[key], *score[1:]) for key, score in keys.items()}
    order = sorted(keys.values(), reverse=True)
    first: dict[tuple[float, ...], int] = {}
    for place, one in enumerate(order):
        first.setdefault(one, place)
    return {key: first[one] for key, one in keys.items()}


def _key(value: Value) -> tuple[float, ...]:
    return value.score


def _fronts(values: Mapping[K, Value]) -> dict[K, int]:
    """The number of each one's front, from 0."""
    # only experiments that trade off objectives need it
    from moocore import pareto_rank  # noqa: PLC0415

    ranks = pareto_rank([one.values for one in values.values()], maximise=True)
    return {key: int(rank) for key, rank in zip(values, ranks, strict=True)}
