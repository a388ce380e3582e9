"""What the operator does not write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.conditions import until
from tests.operator import endings
from tests.operator.harness import Operator, Workspace, experiment

if TYPE_CHECKING:
    from tests.operator.api import Object

pytestmark = pytest.mark.control_plane

LISTS = 4


@pytest.fixture
def operator(workspace: Workspace) -> Operator:
    """Lists, and so reconciles, every second."""
    return workspace.operator("--resync-seconds=1").start().wait_ready()


def lists(workspace: Workspace) -> int:
    return sum(
        entry["verb"] == "list" and entry["objectRef"]["resource"] == "nastrials" for entry in workspace.requests()
    )


def written_meanwhile(workspace: Workspace) -> list[Object]:
    """What is written while the operator reconciles everything several times."""
    writes, until_lists = len(workspace.writes()), lists(workspace) + LISTS
    until(lambda: lists(workspace) >= until_lists)
    return workspace.writes()[writes:]


@pytest.mark.usefixtures("operator")
def test_nothing_is_written_once_the_experiment_has_ended(workspace: Workspace) -> None:
    with workspace.control_plane.fake_pods():
        workspace.apply(experiment(trials={"max": 3, "parallelism": 2}))
        workspace.wait_condition("Succeeded")
    until(lambda: not workspace.pods() and len(workspace.events()) == 2)
    assert written_meanwhile(workspace) == []


def test_nothing_is_written_while_a_pod_runs_nor_after_a_restart(operator: Operator, workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 3}))
    workspace.set_pod("nas-0-1", endings.running())
    until(lambda: workspace.trials()[0].get("status", {}).get("phase") == "Running")
    until(lambda: workspace.status().get("counts", {}).get("running") == 1)
    workspace.wait_condition("MetricsAvailable")
    until(lambda: len(workspace.events()) == 1)
    assert written_meanwhile(workspace) == []
    assert operator.terminate() == 0
    operator.start().wait_ready()
    assert written_meanwhile(workspace) == []


@pytest.mark.usefixtures("operator")
def test_pods_are_made_and_deleted_and_never_written_to(workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 2, "parallelism": 2}))
    workspace.set_pod("nas-0-1", endings.running())
    until(lambda: workspace.status().get("counts", {}).get("running") == 1)
    for pod in workspace.pods():
        assert "finalizers" not in pod["metadata"]
        assert set(pod["metadata"]["annotations"]) == {
            "cluster-autoscaler.kubernetes.io/safe-to-evict",
            "karpenter.sh/do-not-disrupt",
        }
    for document in (workspace.experiment(), *workspace.trials()):
        assert "finalizers" not in document["metadata"]
        assert "annotations" not in document["metadata"]
    workspace.set_pod("nas-0-1", endings.exited(0, endings.results(accuracy=0.5)))
    workspace.set_pod("nas-1-1", endings.exited(0, endings.results(accuracy=0.5)))
    workspace.wait_condition("Succeeded")
    until(lambda: not workspace.pods())
    on_pods = {entry["verb"] for entry in workspace.writes() if entry["objectRef"]["resource"] == "pods"}
    assert on_pods == {"create", "delete"}
