"""Costs that are sums over decisions: what they come to, and what is wrong with them."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.errors import SpecError
from kubenas.api.space import SearchSpace
from kubenas.search.encoding import Encoder
from kubenas.space.base import Space
from kubenas.space.conformance import check_space
from kubenas.space.load import build_space, validate_space
from kubenas.space.presets.nasbench201 import OPERATIONS

PARAMETERS: list[dict[str, Any]] = [
    {"name": "depth", "type": "int", "min": 1, "max": 3},
    {"name": "kernel", "type": "ordinal", "numbers": [3, 5], "repeat": {"count": "depth"}},
    {"name": "block", "type": "choice", "values": ["plain", "residual"]},
    {"name": "rate", "type": "float", "min": 0, "max": 1},
]
KERNELS = {"parameter": "kernel", "values": [{"number": 3, "add": 0.5}, {"number": 5, "add": 1.25}]}
BLOCKS = {"parameter": "block", "values": [{"value": "plain", "add": 0}, {"value": "residual", "add": -0.25}]}
LATENCY: dict[str, Any] = {"name": "latency_ms", "base": 1.5, "terms": [KERNELS, BLOCKS]}


def spec(*costs: dict[str, Any], **others: Any) -> SearchSpace:
    return SearchSpace.model_validate({"parameters": PARAMETERS, "costs": list(costs), **others})


SPACE = validate_space(spec(LATENCY))


@given(st.integers(0, 10_000))
def test_each_layer_that_is_there_adds_its_cost(seed: int) -> None:
    architecture = SPACE.sample(Random(seed))
    kernels = [architecture[f"kernel.{layer}"] for layer in range(int(architecture["depth"]))]
    expected = 1.5 + sum({3: 0.5, 5: 1.25}[int(kernel)] for kernel in kernels)
    expected -= 0.25 if architecture["block"] == "residual" else 0
    assert SPACE.costs(architecture) == {"latency_ms": expected}


def test_conforms() -> None:
    check_space(SPACE)
    check_space(build_space(spec(LATENCY, constraints=["latency_ms < 3.0"])))


def test_presets_keep_their_own_costs_beside() -> None:
    edge = {"parameter": "0-1", "values": [{"value": name, "add": place} for place, name in enumerate(OPERATIONS)]}
    table = {"name": "energy", "terms": [edge]}
    space = build_space(SearchSpace.model_validate({"preset": "nasbench201", "costs": [table]}))
    plain = build_space(SearchSpace(preset="nasbench201"))
    cell = space.sample(Random(3))
    assert space.costs(cell) == {**plain.costs(cell), "energy": float(OPERATIONS.index(str(cell["0-1"])))}
    assert space.encodings["costs"](cell) == list(space.costs(cell).values())
    assert list(space.encodings) == list(plain.encodings) == ["one-hot", "adjacency", "paths", "costs"]
    check_space(space)


def test_a_macro_stage_is_priced_by_block() -> None:
    macro = {"stages": [{"name": "a", "depth": [1, 2], "kernel": [3, 5]}]}
    term = {"parameter": "a_kernel", "values": KERNELS["values"]}
    space = build_space(SearchSpace.model_validate({"macro": macro, "costs": [{"name": "ms", "terms": [term]}]}))
    assert space.costs(space.parse({"a_depth": 2, "a_kernel.0": 3, "a_kernel.1": 5})) == {"ms": 1.75}


def test_models_are_given_the_costs() -> None:
    cells = [SPACE.sample(Random(seed)) for seed in range(3)]
    _, costs = Encoder(SPACE).blocks(cells)
    assert costs.tolist() == [[SPACE.costs(cell)["latency_ms"]] for cell in cells]


def test_constraints_may_name_costs() -> None:
    space = validate_space(spec(LATENCY, constraints=["latency_ms <= 2.0"]))
    for seed in range(50):
        assert space.costs(space.sample(Random(seed)))["latency_ms"] <= 2.0


def test_order_of_tables_and_terms_does_not_matter() -> None:
    """Both are lists of keys, which the apiserver takes for equal in any order."""
    other = {"name": "area", "terms": [BLOCKS]}
    first, second = spec(LATENCY, other), spec(other, {**LATENCY, "terms": [BLOCKS, KERNELS]})
    one, two = build_space(first), build_space(second)
    for seed in range(20):
        architecture = one.sample(Random(seed))
        assert list(one.costs(architecture).items()) == list(two.costs(architecture).items())


def wrong(path: str, value: Any) -> SearchSpace:
    """The table with another value at a dotted path."""
    table = copy.deepcopy(LATENCY)
    *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
    target: Any = table
    for part in parents:
        target = target[part]
    target[last] = value
    return spec(table)


THREE = {"number": 3, "add": 1}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("name", "depth", "costs[0].name: depth is a decision: take another name"),
        ("name", "kernel", "costs[0].name: kernel is a decision"),
        (
            "terms.0.parameter",
            "kernal",
            "costs[0].terms[0].parameter: kernal is no decision: there are depth, k",
        ),
        ("terms.0.parameter", "kernel.7", "costs[0].terms[0].parameter: kernel.7 is no decision"),
        ("terms.1.parameter", "kernel.1", "costs[0].terms[1].parameter: kernel.1 has a term already"),
        ("terms.1.parameter", "rate", "costs[0].terms[1].parameter: rate is a float"),
        ("terms.0.values.1.number", 7, "costs[0].terms[0].values[1].number: kernel.0: 7.0 is not one of 3, 5"),
        ("terms.1.values.1.value", "dense", "costs[0].terms[1].values[1].value: block: 'dense' is not one of plain"),
        ("terms.0.values.1", THREE, "costs[0].terms[0].values[1].number: 3 is there twice"),
        ("terms.0.values", [THREE], "costs[0].terms[0].values: lacks 5 of kernel.0: give what each value adds"),
        ("terms.0.parameter", "depth", "costs[0].terms[0].values[1].number: depth: 5.0 is outside 1 to 3"),
    ],
)
def test_errors_name_the_field(path: str, value: Any, says: str) -> None:
    with pytest.raises(SpecError) as refused:
        build_space(wrong(path, value))
    assert str(refused.value).startswith(says)


def test_all_that_is_wrong_with_costs_is_told_at_once() -> None:
    one, two = [{"number": 1, "add": 0}], [{"number": 3, "add": 0}, {"number": 7, "add": 0}, {"number": 9, "add": 0}]
    space = {
        "parameters": [{"name": "kernel", "type": "ordinal", "numbers": [3, 5]}],
        "costs": [
            {"name": "kernel", "terms": [{"parameter": "depth", "values": one}, {"parameter": "widht", "values": one}]},
            {"name": "size_mb", "terms": [{"parameter": "kernel", "values": two}]},
        ],
    }
    with pytest.raises(SpecError) as refused:
        build_space(SearchSpace.model_validate(space))
    assert [problem.field for problem in refused.value.problems] == [
        "costs[0].name",
        "costs[0].terms[0].parameter",
        "costs[0].terms[1].parameter",
        "costs[1].terms[0].values[1].number",
        "costs[1].terms[0].values[2].number",
    ]


def test_a_name_of_the_presets_own_costs_is_refused() -> None:
    edge = {"parameter": "0-1", "values": [{"value": name, "add": 0} for name in OPERATIONS]}
    spec = {"preset": "nasbench201", "costs": [{"name": "params", "terms": [edge]}]}
    with pytest.raises(SpecError, match=r"^costs\[0\]\.name: the space has params of its own"):
        build_space(SearchSpace.model_validate(spec))


def test_a_space_without_tables_is_as_before() -> None:
    space: Space = build_space(SearchSpace.model_validate({"parameters": PARAMETERS}))
    assert space.costs(space.sample(Random(0))) == {}
    assert list(space.encodings) == ["one-hot"]
