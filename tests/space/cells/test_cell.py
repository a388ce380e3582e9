"""Spaces of cells: what can be written, which cells are one, even draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain, permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kubenas.api.cell import Cell
from kubenas.api.errors import problems_of
from kubenas.space.base import Architecture, InvalidArchitectureError
from kubenas.space.cells.space import CellSpace, build_cell_space
from kubenas.space.conformance import check_space, check_uniform
from kubenas.space.enumeration import enumerate_assignments
from tests.properties import examples


def _space(**fields: Any) -> CellSpace:
    return build_cell_space(Cell.model_validate(fields))


FIXED = {"nodes": 4, "operations": ["none", "skip", "conv", "pool"], "none": "none", "skip": "skip"}
SMALL = {
    "all edges": _space(**{**FIXED, "operations": ["none", "skip", "conv"]}),
    "edges that go back in number": _space(**FIXED, edges=[[0, 2], [2, 1], [1, 3], [0, 3]], weightless=["pool"]),
    "operations on nodes": _space(
        **{**FIXED, "nodes": 5}, operationsOn="nodes", edges=[[0, 1], [0, 2], [1, 3], [2, 3], [3, 4], [0, 4]]
    ),
    "inputs": _space(nodes=4, operations=["conv", "pool", "skip"], inputs=2),
    "one input": _space(nodes=5, operations=["conv", "pool"], inputs=1),
    "one operation": _space(nodes=5, operations=["conv"], inputs=2),
    "any edges": _space(nodes=5, operations=["conv", "pool"], operationsOn="nodes", maxEdges=5),
    "few edges": _space(nodes=7, operations=["conv", "pool"], operationsOn="nodes", maxEdges=4),
    "two cells": _space(nodes=4, operations=["conv", "pool"], inputs=1, cells=["normal", "reduction"]),
}
small = pytest.mark.parametrize("space", SMALL.values(), ids=SMALL)


@small
def test_conforms(space: CellSpace) -> None:
    check_space(space)


@small
def test_draws_are_uniform_over_cells(space: CellSpace) -> None:
    check_uniform(space)


@small
def test_multiplicity_is_the_number_of_ways_to_write_a_cell(space: CellSpace) -> None:
    ways: dict[str, list[Architecture]] = {}
    for architecture in enumerate_assignments(space.decisions.values()):
        if space.allows(architecture):
            ways.setdefault(space.key(architecture), []).append(architecture)
    assert len(ways) == space.size()
    assert all(space.multiplicity(alike[0]) == len(alike) for alike in ways.values())


@small
def test_cells_that_are_one_have_the_same_paths(space: CellSpace) -> None:
    rows: dict[str, list[float]] = {}
    for architecture in enumerate_assignments(space.decisions.values()):
        if space.allows(architecture) and len(space.cells) == 1:
            paths = space.encodings["paths"](architecture)
            # Nothing reaches the output, or there is a way to it.
            assert any(paths) == (space.key(architecture) != "0")
            assert rows.setdefault(space.key(architecture), paths) == paths


@pytest.mark.parametrize("on", ["edges", "nodes"])
@pytest.mark.parametrize("nodes", [4, 8])
@examples(30)
@given(rng=st.randoms(use_true_random=False))
def test_each_path_counts_for_the_sequence_that_it_applies(on: str, nodes: int, rng: Any) -> None:
    space = _space(**{**FIXED, "nodes": nodes}, operationsOn=on)
    cell = space.complete({}, rng)

    def sequences(node: int, applied: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        """Those of all paths from `node` to the output."""
        if node == nodes - 1:
            yield applied
        for target in range(node + 1, nodes):
            decision = f"{node}-{target}" if on == "edges" else str(target)
            operation = cell.get(decision, "skip")
            if operation != "none":
                yield from sequences(target, applied if operation == "skip" else (*applied, operation))

    counts = Counter(sequences(0, ()))
    row = space.encodings["paths"](cell)
    numbered = chain.from_iterable(product(("conv", "pool"), repeat=length) for length in range(nodes))
    assert row == [counts[sequence] for sequence, _ in zip(numbered, row, strict=False)]


@pytest.mark.parametrize("name", [name for name, space in SMALL.items() if "0-2" in space.decisions])
def test_neighbours_of_fixed_cells_are_different_ones_each_in_its_one_form(name: str) -> None:
    space = SMALL[name]
    forms = set(space.enumerate())
    for architecture in enumerate_assignments(space.decisions.values()):
        neighbours = space.neighbours(architecture)
        keys = {space.key(neighbour) for neighbour in neighbours}
        assert forms.issuperset(neighbours)
        assert keys == {space.key(each) for each in _one_decision_away(space, architecture)} - {space.key(architecture)}
        assert len(keys) == len(neighbours)


def _one_decision_away(space: CellSpace, architecture: Architecture) -> Iterator[Architecture]:
    for decision in space.decisions.values():
        for value in decision.domain.neighbours(architecture[decision.name]):
            yield architecture.with_decision(decision.name, value)


def test_constraints_choose_among_the_ways_to_write_a_cell() -> None:
    """A cell stays where any way to write it is allowed, not only the first."""
    space = _space(**FIXED)
    allowed = [
        architecture
        for architecture in enumerate_assignments(space.decisions.values())
        if architecture["0-1"] != "none"
    ]
    narrowed = space.with_constraints([lambda architecture: architecture["0-1"] != "none"])
    assert {space.key(architecture) for architecture in allowed} == {space.key(each) for each in narrowed.enumerate()}
    check_space(narrowed)
    check_uniform(narrowed)


@pytest.mark.parametrize("name", ["inputs", "one input"])
def test_cells_with_inputs_are_one_just_where_renumbered(name: str) -> None:
    """Against all ways to renumber the nodes."""

    def renumbered(cell: Mapping[str, Any], order: Mapping[int, int]) -> tuple[Any, ...]:
        return tuple(
            sorted(
                (
                    order[node],
                    *sorted(
                        (order.get(int(source), int(source)), cell[f"{node}.operation.{index}"])
                        for index, source in enumerate(str(cell[f"{node}.inputs"]).split(","))
                    ),
                )
                for node in inner
            )
        )

    space = SMALL[name]
    inner = [int(decision.removesuffix(".inputs")) for decision in space.decisions if decision.endswith(".inputs")]
    keys: dict[Any, str] = {}
    for cell in enumerate_assignments(space.decisions.values()):
        orders = (dict(zip(inner, order, strict=True)) for order in permutations(inner))
        least = min(renumbered(cell, order) for order in orders)
        assert keys.setdefault(least, space.key(cell)) == space.key(cell)
    assert len(set(keys.values())) == len(keys)


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"edges": [[0, 1], [1, 2], [2, 1], [2, 3]]}, "edges[2]", "makes a cycle: node 1 already leads to node 2"),
    ({"edges": [[1, 1]]}, "edges[0]", "makes a cycle: node 1 would read itself"),
    ({"edges": [[0, 3], [0, 7]]}, "edges[1]", "names node 7: nodes go from 0 to 3"),
    ({"edges": [[0, 1]]}, "edges", "no way leads from node 0, the input, to node 3, the output"),
    ({"edges": [[0, 3], [0, 3]]}, "edges[1]", "[0, 3] is there twice: each must be unique"),
    ({"none": "zero"}, "none", "'zero' is no operation: there are none, skip, conv, pool"),
    ({"weightless": ["pool", "poool"]}, "weightless[1]", "'poool' is no operation"),
    ({"skip": "none"}, "skip", "'none' is also none"),
    ({"operations": ["conv", "conv"], "none": None, "skip": None}, "operations[1]", "'conv' is there twice"),
    ({"inputs": 1, "maxEdges": 4}, "", "takes at most one of edges, inputs and maxEdges"),
    ({"inputs": 2, "operationsOn": "nodes"}, "operationsOn", "inputs chooses operations on edges"),
    ({"maxEdges": 4}, "operationsOn", "maxEdges chooses edges without operations: write operationsOn: nodes"),
    ({"inputs": 2}, "none", "is for fixed edges"),
    ({"inputs": 2, "none": None, "skip": None, "nodes": 2}, "nodes", "must be 3 or more with inputs"),
    (
        {"maxEdges": 9, "operationsOn": "nodes", "none": None, "skip": None, "nodes": 8},
        "nodes",
        "must be 7 or less with maxEdges",
    ),
]


@pytest.mark.parametrize(("fields", "field", "message"), REFUSED)
def test_refusals_name_the_field(fields: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Cell.model_validate({**FIXED, **fields})
    problem = problems_of(refused.value)[0]
    assert problem.field == field
    assert problem.message.startswith(message)


def test_what_does_not_connect_is_refused() -> None:
    space = SMALL["any edges"]
    with pytest.raises(InvalidArchitectureError, match="every node must lie between input and output, with at most 5"):
        space.parse({"nodes": 3, "operation.1": "conv", "input-1": 1, "1-output": 0, "input-output": 1})


def test_text() -> None:
    space = SMALL["edges that go back in number"]
    cell = space.parse({"0-2": "conv", "2-1": "pool", "1-3": "skip", "0-3": "conv"})
    assert space.name(cell) == "2=conv(0); 1=pool(2); 3=conv(0)+1"
    assert space.draw(cell).splitlines() == ["2 = conv(0)", "1 = pool(2)", "3 = conv(0) + 1"]
    nothing = space.parse({"0-2": "none", "2-1": "pool", "1-3": "skip", "0-3": "none"})
    assert (space.name(nothing), space.key(nothing)) == ("nothing", "0")


FREE = _space(nodes=7, operations=["a", "b", "c"], operationsOn="nodes", maxEdges=9)


@examples(50)
@given(st.randoms(use_true_random=False))
def test_mutations_and_children_stay_connected(rng: Any) -> None:
    one, other = FREE.sample(rng), FREE.sample(rng)
    for child in (FREE.mutate(one, rng), FREE.crossover(one, other, rng)):
        assert FREE.allows(child)
        assert FREE.parse(child.to_json()) == child
