"""Draws where constraints leave one architecture of thousands, or of more than can be listed."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.errors import SpecError
from kubenas.api.search import Search
from kubenas.api.space import SearchSpace
from kubenas.search.base import History
from kubenas.search.load import build_strategy
from kubenas.space.base import Architecture, Space
from kubenas.space.cel_conjuncts import conjuncts
from kubenas.space.conformance import check_uniform
from kubenas.space.load import build_space, validate_space
from kubenas.space.sampler import PROBE_DRAWS


def spec(count: int, kind: str, top: float, *constraints: str) -> SearchSpace:
    parameters = [{"name": f"p{n}", "type": kind, "min": 0, "max": top} for n in range(count)]
    return SearchSpace.model_validate({"parameters": parameters, "constraints": list(constraints)})


RARE: list[Any] = [
    # 165 of 10^8
    pytest.param((8, "int", 9, " + ".join(f"p{n}" for n in range(8)) + " == 3"), id="sum"),
    # all eight above 0.9, on average
    pytest.param((8, "float", 1, " * ".join(f"p{n}" for n in range(8)) + " > 0.5"), id="product"),
    # a draw in two million
    pytest.param((12, "int", 9, " && ".join(f"p{n} < 3" for n in range(12))), id="each"),
]


@pytest.mark.parametrize("rare", RARE)
def test_what_chance_does_not_meet_is_drawn(rare: Any) -> None:
    space = validate_space(spec(*rare))
    assert not any(space.allows(space.complete({}, Random(seed))) for seed in range(PROBE_DRAWS))
    drawn = [space.sample(Random(seed)) for seed in range(8)]
    assert all(space.allows(architecture) for architecture in drawn)
    assert len(set(drawn)) > 4
    assert drawn[:3] == [build_space(spec(*rare)).sample(Random(seed)) for seed in range(3)]


def test_a_search_proposes_such_architectures() -> None:
    space = validate_space(spec(8, "int", 9, "p0 + p1 + p2 + p3 + p4 + p5 + p6 + p7 == 3"))
    strategy, history = build_strategy(Search(algorithm="regularized-evolution"), space), History(space)
    proposed = strategy.propose(history, 10)
    assert len({space.key(architecture) for architecture in proposed}) == 10
    assert all(sum(map(int, architecture.values())) == 3 for architecture in proposed)


def test_what_can_be_listed_is_drawn_evenly_however_rare() -> None:
    """4 of 10,000."""
    space = validate_space(spec(4, "int", 9, "p0 == 0 && p1 == 0 && p2 + p3 == 3"))
    assert space.size() == 4
    check_uniform(space)


def test_what_is_nowhere_is_refused() -> None:
    with pytest.raises(SpecError, match=r"^constraints\[1\]: leaves no architecture, or too few to find"):
        validate_space(spec(2, "float", 1, "p0 >= 0.0", "p0 + p1 > 2.5"))


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("a < 3", [("a", "3")]),
        ("a<3&&b>=c+1", [("a", "3"), ("b", "c+1")]),
        ("(a < 3 && b == 1) && c == 2", [None, ("c", "2")]),
        ("a == 1 || b == 2 && c == 3", [None]),
        ("a > 1 ? b == 2 : c == 3", [None]),
        ('name == "a && b < c"', [("name", '"a && b < c"')]),
        ("k.all(x, x == 3) && size(k) == 2", [None, ("size(k)", "2")]),
        ("a != 3 && !b", [None, None]),
        ("(a == 1) == (b == 2)", [("(a == 1)", "(b == 2)")]),
    ],
)
def test_conjuncts_and_the_sides_of_comparisons(expression: str, parts: list[tuple[str, str] | None]) -> None:
    assert [part.sides for part in conjuncts(expression)] == parts


SPACE = build_space(spec(3, "int", 9, "p0 + p1 <= 4 && p2 == 7", "p1 != 2 || p0 == 0"))


@given(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)))
def test_violation_is_0_just_where_all_hold_and_less_where_less_is_missing(values: tuple[int, int, int]) -> None:
    def broken(*of: int) -> float:
        return SPACE.violation(Architecture(dict(zip(SPACE.decisions, of, strict=True))))

    first, second, third = values
    holds = first + second <= 4 and third == 7 and (second != 2 or first == 0)
    assert (broken(*values) == 0.0) == holds
    if third < 6:
        assert broken(first, second, third + 1) < broken(*values)


def test_a_space_with_constraints_of_another_kind_counts_them() -> None:
    space = Space(list(SPACE.decisions.values()), [lambda a: a["p0"] == 1, lambda a: a["p1"] == 1])
    assert space.violation(Architecture({"p0": 1, "p1": 2, "p2": 3})) == 1.0
