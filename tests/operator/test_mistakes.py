"""A mistake that every trial repeats."""

from __future__ import annotations

import pytest

from tests.cluster.conditions import until
from tests.operator import endings
from tests.operator.harness import Operator, Workspace, experiment

pytestmark = [pytest.mark.control_plane, pytest.mark.usefixtures("operator")]


@pytest.fixture
def operator(workspace: Workspace) -> Operator:
    """Lists once more soon after its start, and then no more."""
    return workspace.operator("--resync-seconds=3600").start().wait_ready()


def asked_for(verb: str, workspace: Workspace) -> int:
    """Requests of the operator for trials."""
    return sum(
        entry["verb"] == verb and entry["objectRef"]["resource"] == "nastrials"
        for entry in workspace.requests(workspace.user)
        if "objectRef" in entry
    )


def test_a_mistake_that_every_trial_repeats_ends_the_experiment(workspace: Workspace) -> None:
    at_start = asked_for("list", workspace)
    workspace.apply(experiment(trials={"max": 10, "parallelism": 1}))
    for number in range(3):
        workspace.set_pod(f"nas-{number}-1", endings.exited(0, endings.results(loss=0.1)))
    end = workspace.wait_condition("Failed")
    assert end["reason"] == "MetricMissing"
    assert "no accuracy, an objective; it reported loss" in end["message"]
    assert workspace.created("pods") == ["nas-0-1", "nas-1-1", "nas-2-1"]
    until(lambda: asked_for("list", workspace) > at_start)
    lists = asked_for("list", workspace)
    assert asked_for("get", workspace) == 0
    # A kept pod alone that is deleted changes nothing.
    workspace.api.delete("pods", "nas-2-1")
    until(lambda: asked_for("get", workspace) == 1)
    assert workspace.condition("Failed")["status"] == "True"
    # Once the trainer is mended:
    for number in range(2):
        workspace.api.delete("nastrials", f"nas-{number}")
    workspace.wait_condition("Failed", status="False")
    until(lambda: workspace.created("nastrials").count("nas-0") == 2)
    assert asked_for("list", workspace) == lists


def test_what_the_operator_deletes_itself_makes_it_read_nothing_again(workspace: Workspace) -> None:
    for name in ("nas", "later"):
        with workspace.control_plane.fake_pods():
            workspace.apply(experiment(name, trials={"max": 8, "parallelism": 4}))
            workspace.wait_condition("Succeeded", name)
            until(lambda name=name: not workspace.pods(name))  # type: ignore[misc]
    assert asked_for("get", workspace) == 0
