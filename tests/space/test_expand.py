"""Users' parameters: ordered values, conditions, repeats for each layer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.errors import SpecError
from kubenas.api.space import SearchSpace
from kubenas.space.base import Space
from kubenas.space.conformance import check_space, check_uniform
from kubenas.space.load import build_space

OPERATION = {"name": "operation", "type": "choice", "values": ["conv", "pool"]}
DEPTH = {"name": "depth", "type": "int", "min": 0, "max": 3}
KERNEL = {"name": "kernel", "type": "ordinal", "numbers": [3, 5, 7.5]}
RATE = {"name": "rate", "type": "float", "min": 0.1, "max": 1}


def _space(*parameters: dict[str, Any]) -> Space:
    return build_space(SearchSpace.model_validate({"parameters": list(parameters)}))


def _with(parameter: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**parameter, **fields}


SPACES = {
    "condition on a value": _space(OPERATION, _with(KERNEL, when={"parameter": "operation", "values": ["conv"]})),
    "condition on a number": _space(DEPTH, _with(KERNEL, when={"parameter": "depth", "min": 2})),
    "repeated": _space(_with(OPERATION, repeat={"times": 3})),
    "repeated by depth": _space(DEPTH, _with(OPERATION, repeat={"count": "depth"})),
    "layer by layer": _space(
        DEPTH,
        _with(OPERATION, repeat={"count": "depth"}),
        _with(KERNEL, repeat={"count": "depth"}, when={"parameter": "operation", "values": ["conv"]}),
    ),
}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_conforms(space: Space) -> None:
    check_space(space)
    check_uniform(space)


def test_sizes_are_counted_by_hand() -> None:
    assert {name: space.size() for name, space in SPACES.items()} == {
        "condition on a value": 3 + 1,
        "condition on a number": 2 + 2 * 3,
        "repeated": 2**3,
        "repeated by depth": 1 + 2 + 4 + 8,
        "layer by layer": 1 + 4 + 16 + 64,
    }


def test_unbounded() -> None:
    space = _space(OPERATION, _with(RATE, when={"parameter": "operation", "values": ["pool"]}))
    assert space.size() is None
    check_space(space)


@given(st.integers(0, 6), st.integers(1, 6), st.integers(1, 4))
def test_layers_follow_their_depth(least: int, more: int, values: int) -> None:
    space = _space(
        {"name": "depth", "type": "int", "min": least, "max": least + more},
        {"name": "width", "type": "int", "min": 1, "max": values, "repeat": {"count": "depth"}},
    )
    assert space.size() == sum(values**depth for depth in range(least, least + more + 1))


WRONG: dict[str, tuple[list[dict[str, Any]], str]] = {
    "unknown": ([_with(KERNEL, when={"parameter": "depht", "min": 1})], "[0].when.parameter: depht is no parameter"),
    "later": (
        [_with(KERNEL, when={"parameter": "depth", "min": 1}), DEPTH],
        "[0].when.parameter: depth must stand before kernel",
    ),
    "itself": (
        [_with(KERNEL, when={"parameter": "kernel", "min": 3})],
        "[0].when.parameter: kernel must stand before kernel",
    ),
    "continuous": ([RATE, _with(KERNEL, when={"parameter": "rate", "min": 1})], "[1].when.parameter: rate is a float"),
    "no value of it": (
        [OPERATION, _with(KERNEL, when={"parameter": "operation", "values": ["conv", "skip"]})],
        "[1].when.values[1]: operation is never 'skip': it is one of conv, pool",
    ),
    "value of a number": (
        [DEPTH, _with(KERNEL, when={"parameter": "depth", "values": ["2"]})],
        "[1].when.values[0]: depth is never '2'",
    ),
    "least of words": (
        [OPERATION, _with(KERNEL, when={"parameter": "operation", "min": 1})],
        "[1].when.min: operation has no numbers",
    ),
    "too large": ([DEPTH, _with(KERNEL, when={"parameter": "depth", "min": 9})], "[1].when.min: depth is never as"),
    "too many": (
        [_with(DEPTH, max=1e9), _with(KERNEL, when={"parameter": "depth", "min": 9})],
        "[1].when.parameter: depth has 1,000,000,001 values",
    ),
    "count of words": (
        [OPERATION, _with(KERNEL, repeat={"count": "operation"})],
        "[1].repeat.count: operation must be",
    ),
    "count of fractions": ([KERNEL, _with(DEPTH, repeat={"count": "kernel"})], "[1].repeat.count: kernel must be"),
    "count too large": (
        [_with(DEPTH, max=65), _with(KERNEL, repeat={"count": "depth"})],
        "[1].repeat.count: depth goes",
    ),
    "count of none": (
        [_with(DEPTH, max=0), _with(KERNEL, repeat={"count": "depth"})],
        "[1].repeat.count: depth must go",
    ),
    "count repeated": (
        [_with(DEPTH, repeat={"times": 2}), _with(KERNEL, repeat={"count": "depth"})],
        "[1].repeat.count: depth is repeated itself",
    ),
    "count and condition": (
        [
            DEPTH,
            OPERATION,
            _with(KERNEL, repeat={"count": "depth"}, when={"parameter": "operation", "values": ["conv"]}),
        ],
        "[2].when.parameter: must be repeated by the same count",
    ),
    "other repeat": (
        [_with(OPERATION, repeat={"times": 2}), _with(KERNEL, when={"parameter": "operation", "values": ["conv"]})],
        "[1].when.parameter: operation is repeated",
    ),
    "name made twice": ([_with(DEPTH, name="kernel.1"), _with(KERNEL, repeat={"times": 2})], "[1].name: 'kernel.1' is"),
    "too much": (
        [_with(DEPTH, name=f"p{n}", repeat={"times": 64}) for n in range(17)],
        "[16]: makes more than 1,024 decisions",
    ),
}


@pytest.mark.parametrize(("parameters", "says"), WRONG.values(), ids=WRONG)
def test_errors_name_the_field(parameters: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(SpecError) as refused:
        _space(*parameters)
    assert str(refused.value).startswith(f"parameters{says}")


def test_all_that_is_wrong_between_parameters_is_told_at_once() -> None:
    with pytest.raises(SpecError) as refused:
        _space(
            OPERATION,
            DEPTH,
            _with(KERNEL, name="a", when={"parameter": "operation", "values": ["cnv", "pool", "conw"]}),
            _with(KERNEL, name="b", when={"parameter": "depht", "min": 1}),
            _with(KERNEL, name="c", repeat={"count": "operation"}, when={"parameter": "depth", "min": 9}),
            _with(OPERATION, name="d", when={"parameter": "b", "min": 3}),
            _with(KERNEL, name="e", repeat={"count": "rate"}),
            RATE,
        )
    assert [problem.field for problem in refused.value.problems] == [
        "parameters[2].when.values[0]",
        "parameters[2].when.values[2]",
        "parameters[3].when.parameter",
        "parameters[4].repeat.count",
        "parameters[4].when.min",
        "parameters[6].repeat.count",
    ], "d depends on b, and may be right"
    assert str(refused.value).count("\n") == 5
