"""Constraints are bounded before they are evaluated: nothing that is accepted can take long."""

from __future__ import annotations

from random import Random
from typing import Any

import cel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.errors import SpecError
from kubenas.api.space import SearchSpace
from kubenas.space.cel_cost import MAX_COST, Bound, UnreadableError, check_cost, list_bound
from kubenas.space.load import build_space, validate_space

DIGITS = "[1,2,3,4,5,6,7,8,9,10]"


def nested(levels: int, of: str = DIGITS, macro: str = "all") -> str:
    expression = "true"
    for level in range(levels):
        expression = f"{of}.{macro}(v{level}, {expression})"
    return expression


def refusal(constraint: str) -> str:
    parameters: list[dict[str, Any]] = [
        {"name": "depth", "type": "int", "min": 1, "max": 64},
        {"name": "kernel", "type": "ordinal", "numbers": [3, 5], "repeat": {"count": "depth"}},
    ]
    spec = SearchSpace.model_validate({"parameters": parameters, "constraints": ["true", constraint]})
    with pytest.raises(SpecError) as refused:
        validate_space(spec)
    assert refused.value.field == "constraints[1]"
    return str(refused.value)


@pytest.mark.parametrize(
    "constraint",
    [
        pytest.param(nested(7), id="seven levels"),
        pytest.param(nested(7, macro="exists"), id="exists"),
        pytest.param(nested(3, "kernel"), id="of layers"),
        pytest.param("kernel.all(a, kernel.all(b, kernel.map(c, a + b + c).size() > 0))", id="maps"),
        pytest.param("kernel.map(a, kernel).map(a, a + a).map(a, a + a).size() > 0", id="lists that grow"),
        pytest.param("[" + ",".join(["1"] * 400) + "].map(a, [a, a]).map(b, b + b).size() > 0", id="long list"),
        pytest.param("architecture.all(a, architecture.all(b, architecture.all(c, a != '')))", id="of decisions"),
    ],
)
def test_what_may_take_long_is_refused(constraint: str) -> None:
    assert "steps, but 10,000 are allowed: put fewer of all, exists" in refusal(constraint)


@pytest.mark.parametrize(
    ("constraint", "says"),
    [
        ("(" * 300 + "true" + ")" * 300, "nests brackets deeper than 24"),
        ("!" * 600 + "true", "more than 24 of ! and - before one value"),
        (r"'a'.matches('(\\w{1000}){1000}')", "calls matches, which constraints do not have: there are all, contains"),
        ("depth > duration('1h')", "calls duration, which constraints do not have"),
        (r'r"\" + "" == "a"', "CEL that constraints do not have"),
        ('"""a""" == "a"', "CEL that constraints do not have"),
    ],
)
def test_what_cannot_be_bounded_is_refused(constraint: str, says: str) -> None:
    assert says in refusal(constraint)


def test_many_that_are_cheap_alone_are_refused_together() -> None:
    constraints = [f"kernel.all(a, kernel.all(b, a + b > {n}))" for n in range(6)]
    parameters = [{"name": "kernel", "type": "ordinal", "numbers": [3, 5], "repeat": {"times": 16}}]
    with pytest.raises(SpecError, match=r"^constraints\[3\]: may take .* steps with those before it"):
        build_space(SearchSpace.model_validate({"parameters": parameters, "constraints": constraints}))


def expressions() -> st.SearchStrategy[str]:
    """Expressions on numbers and lists; most of them can be evaluated."""
    numbers = st.sampled_from(["1", "2.0", "a", "x[0]", "size(x)", "int(2.0)", "-a"])
    lists = st.recursive(
        st.sampled_from(["x", "[1, 2, 3]", "[a]", "(x + x)"]),
        lambda inner: st.tuples(inner, st.sampled_from(["map(v, v)", "filter(v, v > 0)", "map(v, [v, v].size())"])).map(
            ".".join
        ),
        max_leaves=3,
    )
    truths = st.one_of(
        st.builds("{} {} {}".format, numbers, st.sampled_from(["<", "==", "!=", ">="]), numbers),
        st.builds("{}.{}(w, w > 0)".format, lists, st.sampled_from(["all", "exists", "exists_one"])),
        st.builds("{} in {}".format, numbers, lists),
        st.just("x.all(i, x.all(j, i + j >= 0))"),
    )
    return st.recursive(
        truths,
        lambda inner: st.one_of(
            st.builds("({}) {} !({})".format, inner, st.sampled_from(["&&", "||"]), inner),
            st.builds("({}) ? ({}) : ({})".format, inner, inner, inner),
            st.builds("[1, 2].all(u, {})".format, inner),
        ),
        max_leaves=6,
    )


@given(expressions())
def test_everything_that_is_written_usually_can_be_read(expression: str) -> None:
    cel.compile(expression)
    assert check_cost(expression, {"x": list_bound([Bound()] * 8), "a": Bound()}) > 0


@given(st.text(st.sampled_from("ax1.([{}]),\"' +-!&|?:<=rb/\\\n"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert check_cost(text, {"x": Bound()}) <= MAX_COST
    except (SpecError, UnreadableError):
        return


@pytest.mark.parametrize(
    ("expression", "more"),
    [
        ("x.all(v, v > 0)", "x.all(v, x.all(w, v > w))"),
        ("[a].all(v, v > 0)", "[a, a].all(v, v > 0)"),
        ("x == x", "x + x == x"),
        ("x.map(v, v) == x", "x.map(v, [v]) == x"),
    ],
)
def test_what_does_more_may_take_longer(expression: str, more: str) -> None:
    variables = {"x": list_bound([Bound()] * 8), "a": Bound()}
    assert check_cost(expression, variables) < check_cost(more, variables)


def test_equations_are_drawn_from_whatever_the_seed() -> None:
    """What can be drawn once can always be drawn: a search must not find out later that it cannot go on."""
    parameters = [{"name": name, "type": "int", "min": 0, "max": 10_000} for name in ("x", "y")]
    spec = SearchSpace.model_validate({"parameters": parameters, "constraints": ["x + y == 16000"]})
    space = validate_space(spec)
    drawn = [space.sample(Random(seed)) for seed in range(40)]
    assert all(int(one["x"]) + int(one["y"]) == 16_000 for one in drawn)
    assert len(set(drawn)) > 20
