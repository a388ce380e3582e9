"""What a mixture derives is the best architecture by its weights that the space allows."""

from __future__ import annotations

import math
from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.space import SearchSpace
from kubenas.space.load import build_space
from kubenas_trial.differentiable.choices import best_architecture, cell_choices, skip_share
from kubenas_trial.errors import InvalidTrialError
from tests.properties import examples

NODES = {"nodes": 4, "edges": [[0, 1], [1, 3], [0, 2], [2, 3]], "operations": ["a", "b"], "operationsOn": "nodes"}


def space_of(document: dict[str, Any]) -> Any:
    return build_space(SearchSpace.model_validate(document))


def rows(space: Any, seed: int) -> list[list[list[float]]]:
    """Random weights of each cell, place and operation."""
    rng = Random(seed)
    return [[[rng.random() for _ in one.operations] for _ in one.labels] for one in cell_choices(space)]


def likelihood(space: Any, weights: list[list[list[float]]], architecture: Any) -> float:
    """By the definition: the product of the weights of what is chosen."""
    chosen = [one.chosen(architecture) for one in cell_choices(space)]
    return math.prod(
        row[index]
        for cell, indices in zip(weights, chosen, strict=True)
        for row, index in zip(cell, indices, strict=True)
        if index is not None
    )


@examples(20)
@given(seed=st.integers(0, 10**6), bound=st.integers(0, 6))
def test_no_allowed_architecture_has_larger_weights(seed: int, bound: int) -> None:
    edges = ", ".join(f'architecture["{edge}"]' for edge in ("0-1", "0-2", "0-3", "1-2", "1-3", "2-3"))
    constraint = f"[{edges}].filter(o, o == 'nor_conv_3x3').size() >= {bound}"
    space = space_of({"preset": "nasbench201", "constraints": [constraint]})
    weights = rows(space, seed)
    [choices], [cell] = cell_choices(space), weights
    found = best_architecture(space, cell_choices(space), weights)
    assert space.parse(found.to_json()) == found
    # With at least so many convolutions: on the edges where that costs least.
    best = max(
        math.prod(row[index] for row, index in zip(cell, indices, strict=True))
        for indices in product(range(5), repeat=6)
        if sum(choices.values[index] == "nor_conv_3x3" for index in indices) >= bound
    )
    assert likelihood(space, weights, found) == pytest.approx(best)


@examples(20)
@given(seed=st.integers(0, 10**6))
def test_darts_reads_the_two_best_inputs_of_each_node(seed: int) -> None:
    space = space_of({"preset": "darts"})
    weights = rows(space, seed)
    found = best_architecture(space, cell_choices(space), weights)
    for choices, cell in zip(cell_choices(space), weights, strict=True):
        assert choices.operations[-1] == "none"
        for node in range(2, 6):
            edges = {
                int(label.rpartition(".")[2].partition("-")[0]): row[:-1]
                for label, row, target in zip(choices.labels, cell, choices.targets, strict=True)
                if target == node
            }
            first, second = sorted(sorted(edges, key=lambda source: -max(edges[source]))[:2])
            assert found[f"{choices.cell}.{node}.inputs"] == f"{first},{second}"
            for index, source in enumerate((first, second)):
                best = choices.operations[edges[source].index(max(edges[source]))]
                assert found[f"{choices.cell}.{node}.operation.{index}"] == best


def test_operations_on_nodes_are_chosen_too() -> None:
    space = space_of({"cell": NODES})
    found = best_architecture(space, cell_choices(space), [[[0.2, 0.8], [0.6, 0.4]]])
    assert dict(found) == {"1": "b", "2": "a"}


def test_where_the_best_thousands_are_refused_one_is_found_still() -> None:
    # Two operations must be those that the weights like least: never so in the best thousands.
    constraints = [f'architecture["{cell}.2.operation.0"] == "max_pool_3x3"' for cell in ("normal", "reduction")]
    space = space_of({"preset": "darts", "constraints": constraints})
    weights = [[[0.001, *[1.0] * 7]] * 14] * 2
    found = best_architecture(space, cell_choices(space), weights)
    assert space.allows(found)


@pytest.mark.parametrize(
    "document",
    [
        {"preset": "mlp"},
        {"preset": "nasbench101"},
        {"parameters": [{"name": "width", "type": "int", "min": 1, "max": 2}]},
        {"cell": {"nodes": 4, "operations": ["a"], "operationsOn": "nodes", "maxEdges": 4}},
    ],
)
def test_a_space_without_mixture_is_one_clear_error(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidTrialError, match=r"it is for nasbench201, darts and searchSpace\.cell without maxEdges"):
        cell_choices(space_of(document))


def test_the_share_of_skips_is_that_of_the_cell_with_most() -> None:
    space = space_of({"preset": "darts"})
    values = dict(space.sample(Random(0)))
    for cell, skips in (("normal", 3), ("reduction", 1)):
        names = [f"{cell}.{node}.operation.{index}" for node in range(2, 6) for index in (0, 1)]
        values |= dict.fromkeys(names, "sep_conv_3x3") | dict.fromkeys(names[:skips], "skip_connect")
    assert skip_share(cell_choices(space), space.parse(values)) == 3 / 8
