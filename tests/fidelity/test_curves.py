"""Schedulers decide by orders that are kept as curves change: exactly as by a look at all curves, as here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import combinations, pairwise
from math import ceil
from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.experiment.trainings import Trainings
from kubenas.fidelity.asha import ASHA
from kubenas.fidelity.base import Promotion, RungCurve, Scheduler, Training, Value
from kubenas.fidelity.curves import RungCurves
from kubenas.fidelity.hyperband import Hyperband
from kubenas.fidelity.median import Median
from kubenas.fidelity.one_epoch import OneEpoch
from kubenas.fidelity.pasha import PASHA
from kubenas.fidelity.promotion import PromotingASHA
from tests.properties import examples

EPOCHS, ETA, LEVELS = 27, 3, (1, 3, 9, 27)
Curves = Mapping[Training, RungCurve]
Stopped = set[Training]


def dominates(one: Value, other: Value) -> bool:
    pairs = [*zip(one.values, other.values, strict=True)]
    return all(a >= b for a, b in pairs) and one.values != other.values


def fronts(values: Mapping[Training, Value]) -> dict[Training, int]:
    """Non-dominated sorting of those within the limits, one front after another."""
    left, found, number = {one for one, value in values.items() if value.score[0] == 0.0}, dict[Training, int](), 0
    while left:
        front = {one for one in left if not any(dominates(values[other], values[one]) for other in left)}
        found |= dict.fromkeys(front, number)
        left, number = left - front, number + 1
    return found


def keys(curves: Curves, rung: int) -> dict[Training, tuple[float, ...]]:
    """What candidates at a rung are compared by: the greater the better."""
    here = {one: curve[rung] for one, curve in curves.items() if rung in curve}
    of = fronts(here)
    several = any(len(value.values) > 1 for value in here.values())
    return {one: (value.score[0], -of.get(one, 0) if several else 0, value.score[1]) for one, value in here.items()}


def outdone(curves: Curves, one: Training, rung: int) -> tuple[int, int]:
    """How many are better than one at a rung, and how many are there."""
    known = keys(curves, rung)
    return sum(key > known[one] for key in known.values()), len(known)


def last_rung(curve: RungCurve, rungs: Collection[int]) -> int | None:
    return max((rung for rung in rungs if rung in curve), default=None)


def asha(curves: Curves, running: Collection[Training], first: int = 1) -> Stopped:
    found = set()
    for one in running:
        rung = last_rung(curves.get(one, {}), [level for level in LEVELS[:-1] if level >= first])
        if rung is not None:
            better, count = outdone(curves, one, rung)
            found |= {one} if better >= ceil(count / ETA) else set()
    return found


def hyperband(curves: Curves, running: Collection[Training]) -> Stopped:
    found = set()
    scheduler = Hyperband(EPOCHS, min_epochs=1, eta=ETA)
    for bracket, first in enumerate(LEVELS):
        own = {one: curve for one, curve in curves.items() if scheduler.bracket(one.trial) == bracket}
        found |= asha(own, [one for one in running if one in own], first)
    return found


def one_epoch(curves: Curves, running: Collection[Training]) -> Stopped:
    return {one for one in running if 1 in curves.get(one, {}) and outdone(curves, one, 1)[0] >= 2}


def running_means(curve: RungCurve, rung: int) -> tuple[float, float] | None:
    """None where a rung up to there was not seen."""
    upto = range(1, rung + 1)
    if any(seen not in curve for seen in upto):
        return None
    violations, values = zip(*(curve[seen].score for seen in upto), strict=True)
    return sum(violations) / rung, sum(values) / rung


def below_median(curves: Curves, running: Collection[Training]) -> Stopped:
    found, rungs = set(), range(1, 5)
    for one in running:
        rung = last_rung(curves.get(one, {}), rungs)
        if rung is None:
            continue
        means = [running_means(curve, rung) for other, curve in curves.items() if other != one]
        others = [mean for mean in means if mean is not None]
        if len(others) >= 2:
            middle = median(mean[0] for mean in others), median(mean[1] for mean in others)
            found |= (
                {one} if max(curves[one][r].score for r in rungs if r <= rung and r in curves[one]) < middle else set()
            )
    return found


RULES: list[tuple[Scheduler, Callable[[Curves, Collection[Training]], Stopped]]] = [
    (ASHA(EPOCHS, min_epochs=1, eta=ETA), asha),
    (Hyperband(EPOCHS, min_epochs=1, eta=ETA), hyperband),
    (OneEpoch(EPOCHS, min_epochs=1, top=2), one_epoch),
    (Median(5, min_epochs=1, min_results=2), below_median),
]


def drawn(rng: Random, rungs: Collection[int], objectives: int) -> RungCurve:
    """A curve with gaps, of so few values that many are equal, some of which break a limit."""
    curve = {}
    for rung in rungs:
        values = tuple(float(rng.randint(0, 3)) for _ in range(objectives))
        if rng.random() < 0.7:
            curve[rung] = Value((-rng.choice([0.0, 0.0, 0.0, 0.5, 1.0]), values[0]), values)
    return curve


@pytest.mark.parametrize(("scheduler", "rule"), RULES, ids=lambda one: type(one).__name__)
@given(st.randoms(use_true_random=False), st.integers(1, 2))
@examples(60)
def test_stops_are_those_by_definition_whatever_changes(
    scheduler: Scheduler, rule: Callable[[Curves, Collection[Training]], Stopped], rng: Random, objectives: int
) -> None:
    """Trials run, show more or less than before as attempts follow one another, end, and others take their place."""
    levels = [*scheduler.rungs, EPOCHS]
    trainings, shown, ended = Trainings(), dict[Training, RungCurve](), dict[Training, RungCurve]()
    for step in range(rng.randint(1, 25)):
        one = Training(rng.randint(0, 9), rng.choice("01"))
        if rng.random() < 0.7:
            shown = {**shown, one: drawn(rng, levels, objectives)}
        elif one in shown:
            last = shown[one] if rng.random() < 0.8 else {}
            shown = {other: curve for other, curve in shown.items() if other != one}
            ended[one] = {**ended.get(one, {}), **last}
            trainings.end({one: last}, step, one.trial)
        if rng.random() < 0.5:
            shown = {other: curve for other, curve in shown.items() if curve}
            curves = {**{other: curve for other, curve in ended.items() if curve}, **shown}
            known = trainings.with_running(shown)
            assert dict(known) == curves
            assert scheduler.stops(known, shown.keys()).keys() == rule(curves, shown.keys())


def promotions(curves: Curves, begun: Mapping[Training, int]) -> list[Promotion]:
    found = []
    for rung, following in reversed([*pairwise(LEVELS)]):
        known = keys(curves, rung)
        best = sorted(known, key=lambda one: (sum(key > known[one] for key in known.values()), one))
        found += [Promotion(one, following) for one in best[: len(known) // ETA] if begun.get(one) == rung]
    return found


def soft_promotions(curves: Curves, begun: Mapping[Training, int]) -> list[Promotion]:
    top = open_to(curves, begun)
    return [one for one in promotions(curves, begun) if one.epochs <= top]


def open_to(curves: Curves, begun: Mapping[Training, int]) -> int:
    climbing = [
        epochs
        for one, epochs in begun.items()
        if epochs == 1 or LEVELS[LEVELS.index(epochs) - 1] in curves.get(one, {})
    ]
    for below, top in pairwise(LEVELS):
        if top >= max(climbing, default=0) and not unstable(curves, below, top):
            return top
    return EPOCHS


def unstable(curves: Curves, below: int, top: int) -> bool:
    both = sorted(one for one, curve in curves.items() if top in curve and below in curve)
    after = sorted(both, key=lambda one: curves[one][top].score, reverse=True)
    before = sorted(both, key=lambda one: curves[one][below].score, reverse=True)
    swapped = sorted(
        abs(curves[one][top].score[1] - curves[other][top].score[1])
        for one, other in combinations(both[-64:], 2)
        if swings(curves[one], curves[other], top) > 1
    )
    noise = swapped[int(0.9 * (len(swapped) - 1))] if swapped else 0.0
    pairs = [(curves[one][top].score, curves[other][top].score) for one, other in zip(before, after, strict=True)]
    return any(mine[0] != theirs[0] or abs(mine[1] - theirs[1]) > noise for mine, theirs in pairs)


def swings(one: RungCurve, other: RungCurve, top: int) -> int:
    """How often the better of two becomes the worse."""
    seen = [rung for rung in LEVELS if rung <= top and rung in one and rung in other]
    signs = [one[rung].score > other[rung].score for rung in seen if one[rung].score != other[rung].score]
    return sum(before != after for before, after in pairwise(signs))


@pytest.mark.parametrize(
    ("promoter", "rule"),
    [
        (PromotingASHA(EPOCHS, min_epochs=1, eta=ETA), promotions),
        (PASHA(EPOCHS, min_epochs=1, eta=ETA), soft_promotions),
    ],
    ids=lambda one: type(one).__name__,
)
@given(st.randoms(use_true_random=False), st.integers(1, 2))
@examples(60)
def test_promotions_are_those_by_definition_whatever_has_ended(
    promoter: PromotingASHA,
    rule: Callable[[Curves, Mapping[Training, int]], list[Promotion]],
    rng: Random,
    objectives: int,
) -> None:
    curves, known = dict[Training, RungCurve](), RungCurves()
    for _ in range(rng.randint(1, 25)):
        one = Training(rng.randint(0, 15), "0")
        curves[one] = drawn(rng, LEVELS[: rng.randint(1, 4)], objectives)
        known.put(one, curves[one])
        begun = {other: max((*curve, rng.choice(LEVELS)), default=1) for other, curve in curves.items()}
        assert promoter.promotions(known, begun) == rule({o: c for o, c in curves.items() if c}, begun)
