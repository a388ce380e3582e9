"""Grid, Sobol and random draws: what they cover, and how they go on to the last architecture."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.search.base import History
from kubenas.search.conformance import CONDITIONAL
from kubenas.search.grid import GridSearch
from kubenas.search.sobol import SobolSearch
from kubenas.search.unseen import draw_unseen
from kubenas.space.base import Architecture
from kubenas.space.domains import Choice, Float, Int, Ordinal
from kubenas.space.parameters import parameter_space
from tests.properties import examples

LINE = parameter_space({"x": Float(0.0, 1.0, "linear")})
# More architectures than are listed.
LARGE = parameter_space({f"operation.{layer}": Choice(tuple("abcdefg")) for layer in range(12)})


def test_the_grid_of_a_line_is_halved_again_and_again() -> None:
    proposals = [float(one["x"]) for one in GridSearch(LINE, 0).propose(History(LINE), 17)]
    for points in (2, 3, 5, 9, 17):
        assert sorted(proposals[:points]) == [place / (points - 1) for place in range(points)]


def test_values_without_order_are_all_there_from_the_first() -> None:
    proposals = GridSearch(LARGE, 0).propose(History(LARGE), 100)
    for name in LARGE.decisions:
        assert {str(one[name]) for one in proposals} == set("abcdefg")


def test_values_in_order_start_with_their_ends() -> None:
    space = parameter_space({"x": Float(0.0, 1.0, "linear"), "kernel": Ordinal((1, 3, 5, 7, 9))})
    proposals = GridSearch(space, 0).propose(History(space), 9)
    assert {one["kernel"] for one in proposals[:4]} == {1, 9}
    assert {one["kernel"] for one in proposals} == {1, 5, 9}


@given(st.integers(0, 2**32))
@examples(20)
def test_a_grid_goes_through_a_finite_space_once_with_conditions_and_constraints(seed: int) -> None:
    history, strategy = History(CONDITIONAL), GridSearch(CONDITIONAL, seed)
    size = CONDITIONAL.size()
    assert size is not None
    proposals = strategy.propose(history, size + 1)
    assert {CONDITIONAL.key(one) for one in proposals} == {CONDITIONAL.key(one) for one in CONDITIONAL.enumerate()}
    assert len(proposals) == size


def test_a_grid_answers_about_two_histories_in_turn() -> None:
    """What one has been through is not left out of the other."""
    first, second, strategy = History(LARGE), History(LARGE), GridSearch(LARGE, 3)
    ahead = strategy.propose(first, 20)
    assert strategy.propose(second, 20) == ahead
    assert strategy.propose(first, 5) == strategy.propose(second, 5)


@given(st.integers(0, 2**32))
@examples(20)
def test_sobol_leaves_no_gap(seed: int) -> None:
    """Of 64 points one lies in each 64th of either parameter; random draws leave about 23 of them empty."""
    space = parameter_space({"x": Float(0.0, 1.0, "linear"), "rate": Float(1e-6, 1.0, "log")})
    proposals = SobolSearch(space, seed).propose(History(space), 64)
    for name, decision in space.decisions.items():
        places = {min(int(decision.domain.encode(one[name])[0] * 64), 63) for one in proposals}
        # a point on a border may be rounded to the other side
        assert len(places) >= 63


def test_sobol_gives_choices_equal_shares() -> None:
    space = parameter_space({"operation": Choice(tuple("abcd")), "x": Float(0.0, 1.0, "linear")})
    proposals = SobolSearch(space, 5).propose(History(space), 64)
    assert Counter(one["operation"] for one in proposals) == dict.fromkeys("abcd", 16)


@given(st.integers(0, 2**32), st.sets(st.integers(1, 3_000), min_size=1, max_size=5))
@examples(10)
def test_what_is_left_is_drawn_as_from_a_fresh_look(seed: int, left: set[int]) -> None:
    """A history asked again and again answers as one that was read anew, down to nothing."""
    space = parameter_space({"n": Int(1, 3_000, "log")})
    taken = [space.parse({"n": n}) for n in range(1, 3_001) if n not in left]
    history = History(space)
    history.propose(taken)
    found: list[Architecture] = []
    for number in range(len(left)):
        fresh = History(space)
        fresh.propose([*taken, *found])
        drawn = draw_unseen(space, history, Random(seed + number))
        assert drawn is not None
        assert drawn == draw_unseen(space, fresh, Random(seed + number))
        history.propose([drawn])
        found.append(drawn)
    assert {one["n"] for one in found} == left
    assert draw_unseen(space, history, Random(seed)) is None


def test_what_is_left_is_listed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each proposal near the end would otherwise go through the whole space."""
    space = parameter_space({"n": Int(1, 20_000, "log")})
    history = History(space)
    history.propose(space.parse({"n": n}) for n in range(1, 19_990))
    listed = []
    enumerate_all = space.enumerate

    def counted() -> Any:
        listed.append(1)
        return enumerate_all()

    monkeypatch.setattr(space, "enumerate", counted)
    drawn: list[int] = []
    while (one := draw_unseen(space, history, Random(len(drawn)))) is not None:
        history.propose([one])
        drawn.append(int(one["n"]))
    assert sorted(drawn) == list(range(19_990, 20_001))
    assert len(listed) <= 1


def test_strides_of_a_grid_are_not_beside_each_other() -> None:
    """Early trials are spread: the first ten of a hundred leave no gap of more than a quarter."""
    space = parameter_space({"n": Int(1, 100, "linear")})
    found = sorted(int(one["n"]) for one in GridSearch(space, 1).propose(History(space), 10))
    assert max(after - before for before, after in pairwise([0, *found, 101])) <= 25
