"""Several objectives: fronts by their definition, and weights that reach the whole front."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.search.base import History, Observation
from kubenas.search.fronts import fronts, ranked
from kubenas.search.nsga2 import NSGA2, NSGA2Settings
from kubenas.search.scalarize import scalarized
from kubenas.space.base import Architecture
from kubenas.space.domains import Choice
from kubenas.space.parameters import parameter_space

WIDE = parameter_space({f"p{index}": Choice(tuple("abcdefghijklmnop")) for index in range(10)})
# A violation and two objectives; few values, so that many are equal.
POINTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


def _observed(points: list[tuple[int, int, int]]) -> list[Observation]:
    return [
        Observation(Architecture({"n": number}), (-float(violation), float(first)), (float(first), float(second)))
        for number, (violation, first, second) in enumerate(points)
    ]


def _dominates(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    if one[0] != other[0]:
        return one[0] < other[0]
    return one != other and one[1] >= other[1] and one[2] >= other[2]


@given(POINTS)
def test_fronts_by_their_definition(points: list[tuple[int, int, int]]) -> None:
    """The first front is what nothing dominates, the next what nothing else of the rest does, and so on."""
    expected, left = [], list(range(len(points)))
    while left:
        front = [one for one in left if not any(_dominates(points[other], points[one]) for other in left)]
        expected.append(front)
        left = [one for one in left if one not in front]
    assert fronts(_observed(points)) == expected


@given(POINTS)
def test_ranks_hold_every_place_once_and_fronts_together(points: list[tuple[int, int, int]]) -> None:
    observed = _observed(points)
    order = ranked(observed)
    assert sorted(order) == list(range(len(points)))
    level = {place: number for number, front in enumerate(fronts(observed)) for place in front}
    assert [level[place] for place in order] == sorted(level.values())


def test_the_crowded_come_last() -> None:
    """The ends of a front come first; the boxes of those between are 0.4, 1.2 and 1.6 wide and high."""
    points = [(0, 0, 10), (0, 1, 9), (0, 2, 8), (0, 7, 3), (0, 10, 0)]
    assert ranked(_observed(points)) == [0, 4, 3, 2, 1]


def test_failures_are_not_compared() -> None:
    with pytest.raises(ValueError, match="with a score"):
        fronts([Observation(Architecture({"n": 0}), None)])


@given(POINTS)
def test_one_objective_is_the_score_itself(points: list[tuple[int, int, int]]) -> None:
    observed = [Observation(one.architecture, one.score) for one in _observed(points)]
    assert scalarized(observed, Random(0)) == [one.score for one in observed]


@given(POINTS, st.integers(0, 2**32))
def test_scalars_keep_dominance(points: list[tuple[int, int, int]], seed: int) -> None:
    """What is dominated never has the greater scalar, whatever the weights; limits come first."""
    scores = scalarized(_observed(points), Random(seed))
    for one, first in enumerate(points):
        for other, second in enumerate(points):
            if _dominates(first, second):
                assert scores[one] >= scores[other]


@given(st.floats(0.01, 100.0), st.floats(-1000.0, 1000.0), st.integers(0, 2**32))
def test_scalars_do_not_depend_on_units(factor: float, shift: float, seed: int) -> None:
    points = [(0, 0, 10), (0, 3, 8), (0, 9, 1), (0, 2, 2)]
    plain = _observed(points)
    scaled = [
        Observation(one.architecture, one.score, (one.values[0], one.values[1] * factor + shift)) for one in plain
    ]
    first, second = scalarized(plain, Random(seed)), scalarized(scaled, Random(seed))
    assert [value for _, value in first] == pytest.approx([value for _, value in second], abs=1e-6)


def test_weights_reach_the_whole_front_also_where_it_is_hollow() -> None:
    """A weighted sum would only ever find the two ends of this front."""
    observed = _observed([(0, 0, 10), (0, 2, 4), (0, 3, 3), (0, 4, 2), (0, 10, 0), (0, 1, 1)])
    best = set()
    for seed in range(300):
        scores = scalarized(observed, Random(seed))
        best.add(max(range(len(scores)), key=scores.__getitem__))
    assert best == {0, 1, 2, 3, 4}


def test_children_are_of_what_survives() -> None:
    """Of eight results the four that are not dominated and break no limit survive; children have only their values."""
    history = History(WIDE)
    values = [(1.0, 8.0), (3.0, 6.0), (6.0, 3.0), (8.0, 1.0), (9.0, 9.0), (0.0, 0.0), (2.0, 1.0), (1.0, 2.0)]
    for place, point in enumerate(values):
        architecture = Architecture(dict.fromkeys(WIDE.decisions, "abcdefgh"[place]))
        history.propose([architecture])
        # the fifth is best in both, but breaks a limit
        history.observe(Observation(architecture, (-1.0 if place == 4 else 0.0, point[0]), point))
    settings = NSGA2Settings(population_size=4, mutation_probability=0.0)
    children = [child for seed in range(40) for child in NSGA2(WIDE, seed, settings).propose(_again(history), 1)]
    # a child that was seen is mutated in one decision
    strange = [sum(value not in "abcd" for value in map(str, child.values())) for child in children]
    assert max(strange) <= 1
    assert {str(value) for child in children for value in child.values()} >= set("abcd")


def _again(history: History) -> History:
    copied = History(WIDE)
    for observation in history.observations:
        copied.propose([observation.architecture])
        copied.observe(observation)
    return copied
