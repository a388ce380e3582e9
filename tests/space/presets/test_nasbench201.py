"""The NAS-Bench-201 space: its strings, and which cells are one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import permutations, product
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.space.base import Architecture, InvalidArchitectureError
from kubenas.space.conformance import check_uniform
from kubenas.space.presets.nasbench201 import DECISIONS, EDGES, OPERATIONS, NASBench201

SPACE = NASBench201()
CELLS = st.tuples(*[st.sampled_from(OPERATIONS)] * 6).map(lambda chosen: _cell(*chosen))

# The chance that a sound sampler exceeds this bound of a chi-square statistic is one in ten thousand.
CHI_SQUARE_24 = 59.0


def _cell(*operations: str) -> Architecture:
    return Architecture(dict(zip(DECISIONS, operations, strict=True)))


def test_name_is_the_benchmarks_string() -> None:
    # Number 1 of the published benchmark.
    name = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
    cell = SPACE.parse(name)
    assert cell.to_json() == {
        "0-1": "nor_conv_3x3",
        "0-2": "nor_conv_3x3",
        "0-3": "skip_connect",
        "1-2": "avg_pool_3x3",
        "1-3": "nor_conv_3x3",
        "2-3": "skip_connect",
    }
    assert SPACE.name(cell) == name


@given(CELLS)
def test_string_round_trip(cell: Architecture) -> None:
    assert SPACE.parse(SPACE.name(cell)) == cell


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("|none~0|", "write |op~0|+|op~0|op~1|+|op~0|op~1|op~2|"),
        ("|nun~0|+|none~0|none~1|+|none~0|none~1|none~2|", "0-1: 'nun' is not one of none, skip_connect"),
        ({"0-1": "none"}, "0-2 is missing"),
        ({"1-0": "none"}, "'1-0' is no decision: the decisions are 0-1, 0-2"),
        (["none"] * 6, "an architecture is an object of the decisions 0-1"),
    ],
)
def test_refusals_say_what_to_write(document: object, message: str) -> None:
    with pytest.raises(InvalidArchitectureError) as refused:
        SPACE.parse(document)
    assert message in str(refused.value)


def test_sample_is_uniform_over_cells() -> None:
    check_uniform(SPACE)


def test_mutation_reaches_all_24_neighbours_alike() -> None:
    rng, draws, cell = Random(3), 20_000, _cell(*["skip_connect"] * 6)
    counts = Counter(SPACE.mutate(cell, rng) for _ in range(draws))
    assert len(counts) == 24
    assert _chi_square(counts, 24, draws) < CHI_SQUARE_24


def test_neighbours_are_different_cells_each_in_its_one_form() -> None:
    # What a single further edge carries does not reach the output.
    cell = _cell("none", "none", "nor_conv_3x3", "none", "none", "none")
    neighbours = SPACE.neighbours(cell)
    assert len({SPACE.key(each) for each in neighbours} - {SPACE.key(cell)}) == len(neighbours) == 4
    forms = set(SPACE.enumerate())
    for each in [cell, _cell(*["nor_conv_1x1"] * 6)]:
        assert forms.issuperset(SPACE.neighbours(each))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(
            ("nor_conv_3x3", "none", "none", "none", "skip_connect", "none"),
            ("none", "nor_conv_3x3", "none", "none", "none", "skip_connect"),
            id="inner nodes renamed",
        ),
        pytest.param(
            ("nor_conv_3x3", "none", "skip_connect", "none", "none", "none"),
            ("none", "none", "skip_connect", "none", "none", "none"),
            id="dead end",
        ),
        pytest.param(
            ("none", "none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"),
            ("none", "none", "skip_connect", "none", "none", "none"),
            id="operation on nothing",
        ),
        pytest.param(
            ("skip_connect", "none", "none", "none", "nor_conv_3x3", "none"),
            ("none", "none", "nor_conv_3x3", "none", "none", "none"),
            id="skip is identity",
        ),
        pytest.param(
            ("nor_conv_3x3", "none", "nor_conv_1x1", "none", "skip_connect", "none"),
            ("nor_conv_1x1", "none", "nor_conv_3x3", "none", "skip_connect", "none"),
            id="sum commutes",
        ),
    ],
)
def test_cells_that_are_one(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert SPACE.key(_cell(*one)) == SPACE.key(_cell(*other))


def test_a_shared_convolution_is_not_two() -> None:
    shared = _cell("nor_conv_3x3", "none", "none", "skip_connect", "skip_connect", "skip_connect")
    two = _cell("nor_conv_3x3", "nor_conv_3x3", "none", "none", "skip_connect", "skip_connect")
    assert SPACE.key(shared) != SPACE.key(two)


def test_keys_are_equal_just_where_cells_compute_the_same() -> None:
    """Against the values that all 15,625 cells compute, under every assignment of weights."""
    key_of_value: dict[int, str] = {}
    value_of_key: dict[str, int] = {}
    for operations in product(OPERATIONS, repeat=6):
        value, key = _least_value(operations), SPACE.key(_cell(*operations))
        assert key_of_value.setdefault(value, key) == key, operations
        assert value_of_key.setdefault(key, value) == value, operations
    assert len(key_of_value) == SPACE.size() == 5260


def test_published_numbers_of_unique_cells() -> None:
    """The paper counts 12,751 without a rule for `none`, and 6,466 with its own; see the docstring of the space."""
    cells = list(product(OPERATIONS, repeat=6))
    assert len({_published_form(operations, zero=False) for operations in cells}) == 12_751
    assert len({_published_form(operations, zero=True) for operations in cells}) == 6_466


def _value(operations: Sequence[str], weights: dict[int, int]) -> int:
    """The output for one number as input; `weights` sets apart the convolutions, by the index of their edge.

    Every operation but a skip is a function of its own, drawn by a hash.
    """
    nodes = [1, 0, 0, 0]
    for target in (1, 2, 3):
        for index, (source, end) in enumerate(EDGES):
            if end != target or operations[index] == "none" or nodes[source] == 0:
                continue
            value = nodes[source]
            if operations[index] != "skip_connect":
                seen = f"{operations[index]}/{weights.get(index)}/{value}"
                value = int.from_bytes(sha256(seen.encode()).digest())
            nodes[target] += value
    return nodes[3]


def _least_value(operations: Sequence[str]) -> int:
    """The least output over all ways to hand out weights to the convolutions that the output depends on."""
    convolutions = [index for index, operation in enumerate(operations) if "conv" in operation]
    plain = _value(operations, {})
    live = [index for index in convolutions if _value(operations, {index: 99}) != plain]
    return min(
        _value(operations, dict(zip(live, weights, strict=True))) for weights in permutations(range(1, len(live) + 1))
    )


def _published_form(operations: Sequence[str], *, zero: bool) -> str:
    """A cell as one string, by the paper's rules; `zero`: what applies to nothing is nothing, yet stays in sums."""
    nodes = ["0"]
    for target in (1, 2, 3):
        terms = []
        for source in range(target):
            operation = operations[EDGES.index((source, target))]
            if zero and (operation == "none" or nodes[source] == "#"):
                terms.append("#")
            elif operation == "skip_connect":
                terms.append(nodes[source])
            else:
                terms.append(f"({nodes[source]})@{operation}")
        nodes.append("+".join(sorted(terms)))
    return nodes[-1]


def _chi_square(counts: Mapping[Any, int], cells: int, draws: int) -> float:
    expected = draws / cells
    missing = cells - len(counts)
    return sum((count - expected) ** 2 / expected for count in counts.values()) + missing * expected


def test_drawing() -> None:
    cell = _cell("none", "avg_pool_3x3", "nor_conv_3x3", "skip_connect", "nor_conv_1x1", "skip_connect")
    assert SPACE.draw(cell).splitlines() == [
        "2 = avg_pool_3x3(0)",
        "3 = nor_conv_3x3(0) + 2",
    ]
