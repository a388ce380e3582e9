"""A mistake that every trial repeats."""

from __future__ import annotations

import pytest

from tests.cluster.conditions import until
from tests.operator import endings
from tests.operator.harness import Operator, Workspace, experiment

pytestmark = [pytest.mark.control_plane, pytest.mark.usefixtures("operator")]


@pytest.fixture
def operator(workspace: Workspace) -> Operator:
    """Lists every second: trials that are deleted by hand are noticed by the next list."""
    return workspace.operator("--resync-seconds=1").start().wait_ready()


def test_a_mistake_that_every_trial_repeats_ends_the_experiment(workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 10, "parallelism": 1}))
    for number in range(3):
        workspace.set_pod(f"nas-{number}-1", endings.exited(0, endings.results(loss=0.1)))
    end = workspace.wait_condition("Failed")
    assert end["reason"] == "MetricMissing"
    assert "no accuracy, an objective; it reported loss" in end["message"]
    assert workspace.created("pods") == ["nas-0-1", "nas-1-1", "nas-2-1"]
    # Once the trainer is mended:
    for number in range(3):
        workspace.api.delete("nastrials", f"nas-{number}")
    workspace.wait_condition("Failed", status="False")
    until(lambda: workspace.created("nastrials").count("nas-0") == 2)
