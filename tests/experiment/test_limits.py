"""Limits that are known without training: nothing beyond them is proposed."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from kubenas.experiment.validation import resolve_spec, searched_space
from kubenas.search.base import History
from kubenas.space.base import Space
from tests.experiment.builders import experiment

WIDTHS = [{"number": width, "add": width / 8} for width in (8, 16, 32)]
SPACE = {
    "parameters": [
        {"name": "depth", "type": "int", "min": 1, "max": 3},
        {"name": "width", "type": "ordinal", "numbers": [8, 16, 32], "repeat": {"count": "depth"}},
    ],
    "costs": [{"name": "latency_ms", "base": 1, "terms": [{"parameter": "width", "values": WIDTHS}]}],
}
ACCURACY = {"metric": "accuracy"}


def limited(limit: float, metric: str = "latency_ms", goal: str = "minimize", **spec: Any) -> Space:
    objectives = [ACCURACY, {"metric": metric, "goal": goal, "limit": limit}]
    of = experiment(**{"objectives": objectives, "searchSpace": SPACE, **spec}).spec
    resolved = resolve_spec(of)
    assert resolved.problems == ()
    assert resolved.space is not None
    assert resolved.space.size() == searched_space(of).size()
    return resolved.space


@pytest.mark.parametrize(("goal", "limit"), [("minimize", 5.0), ("maximize", 5.0)])
def test_a_table_s_limit_bounds_the_space(goal: str, limit: float) -> None:
    space = limited(limit, goal=goal)
    costs = [space.costs(one)["latency_ms"] for one in space.enumerate()]
    assert costs
    assert all(cost <= limit if goal == "minimize" else cost >= limit for cost in costs)
    whole = limited(1000.0)
    assert len(costs) == sum(
        cost <= limit if goal == "minimize" else cost >= limit
        for cost in (whole.costs(one)["latency_ms"] for one in whole.enumerate())
    )


def test_what_is_proposed_is_within() -> None:
    objectives = [ACCURACY, {"metric": "latency_ms", "goal": "minimize", "limit": 4}]
    resolved = resolve_spec(experiment(objectives=objectives, searchSpace=SPACE).spec)
    assert resolved.space is not None
    strategy = resolved.stages[0].strategy
    assert strategy is not None
    proposed = strategy.propose(History(resolved.space), 20)
    assert 0 < len(proposed) == resolved.space.size()
    assert max(resolved.space.costs(one)["latency_ms"] for one in proposed) == 4


def test_a_presets_own_costs_count_where_its_network_is_built() -> None:
    preset = {"preset": "nasbench201"}
    whole = limited(1e12, "params", searchSpace=preset)
    middle = sorted(whole.costs(one)["params"] for one in whole.enumerate())[2630]
    space = limited(middle, "params", searchSpace=preset)
    assert max(space.costs(one)["params"] for one in space.enumerate()) == middle
    task = {"name": "image-classification", "settings": {"network": {"channels": 8}}}
    assert limited(middle, "params", searchSpace=preset, task=task).size() == whole.size()


def test_metrics_that_training_tells_leave_the_space_as_it_is() -> None:
    assert limited(0.5, "loss").size() == 39


def test_a_limit_that_leaves_nothing_is_named() -> None:
    objectives = [
        ACCURACY,
        {"metric": "latency_ms", "goal": "minimize", "limit": 1.5},
        {"metric": "error", "goal": "minimize", "limit": 1},
    ]
    (problem,) = resolve_spec(experiment(objectives=objectives, searchSpace=SPACE).spec).problems
    assert problem.field == "spec.objectives[1].limit"
    assert "latency_ms <= 1.5 is known without training" in problem.message


def test_a_limit_and_constraints_bound_together() -> None:
    space = limited(6.0, searchSpace={**SPACE, "constraints": ["depth == 2", "latency_ms > 3.0"]})
    for seed in range(30):
        architecture = space.sample(Random(seed))
        assert architecture["depth"] == 2
        assert 3 < space.costs(architecture)["latency_ms"] <= 6
