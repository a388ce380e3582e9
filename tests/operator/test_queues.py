"""Trials that go through a queue of Kueue, whose real controller runs beside the apiserver."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest
import yaml

from kubenas.experiment.contract import CHECKPOINT_VARIABLE
from tests.cluster import kueue_controller
from tests.cluster.conditions import until
from tests.cluster.control_plane import REPOSITORY
from tests.operator import endings
from tests.operator.harness import Operator, Workspace, experiment, install_resources

if TYPE_CHECKING:
    from tests.cluster.control_plane import ControlPlane
    from tests.operator.api import Object

pytestmark = pytest.mark.control_plane


@pytest.fixture(scope="module")
def installed(kueue_control_plane: ControlPlane) -> ControlPlane:
    """In place of the control plane without Kueue."""
    install_resources(kueue_control_plane)
    return kueue_control_plane


def held(pod: Object) -> bool:
    return bool(pod["spec"].get("schedulingGates"))


def end(workspace: Workspace, pod: str, status: Object) -> None:
    """Play the node, once the pod is admitted."""
    until(lambda: not held(workspace.wait_pod(pod)))
    workspace.set_pod(pod, status)


def result(accuracy: float) -> Object:
    return endings.exited(0, endings.results(accuracy=accuracy))


def queued_for_long(workspace: Workspace, operator: Operator, pod: str) -> None:
    """Let a pod have been held for a while when the operator starts."""
    until(lambda: workspace.trial(pod.rpartition("-")[0]).get("status", {}).get("phase") == "Queued")
    operator.kill()
    workspace.take_lease_away()
    gated = endings.unschedulable("Scheduling is blocked due to non-empty scheduling gates")
    gated["conditions"][0]["reason"] = "SchedulingGated"
    workspace.set_pod(pod, gated)
    operator.start().wait_ready()


def failures(workspace: Workspace, name: str = "nas") -> list[int]:
    return [trial["status"].get("failures", 0) for trial in workspace.trials(name)]


def checkpoints(pod: Object) -> str:
    [trainer] = pod["spec"]["containers"]
    [folder] = [one["value"] for one in trainer["env"] if one["name"] == CHECKPOINT_VARIABLE]
    return str(folder)


def test_never_more_run_than_the_quota_has_room_for_and_why_is_told(workspace: Workspace, operator: Operator) -> None:
    kueue_controller.quota(workspace.control_plane, workspace.namespace, "gpus", 2)
    workspace.apply(experiment(queueName="gpus", trials={"max": 3, "parallelism": 2, "timeout": "1s"}))
    until(lambda: list(map(held, workspace.pods())) == [False, False])
    placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": endings.moment()}
    for pod in workspace.pods():
        workspace.set_pod(pod["metadata"]["name"], {"conditions": [placed]})
    workspace.api.patch("nasexperiments", "nas", {"spec": {"trials": {"parallelism": 3}}})
    until(lambda: sorted(map(held, workspace.pods())) == [False, False, True])
    [waits] = [pod["metadata"]["name"] for pod in workspace.pods() if held(pod)]
    queued_for_long(workspace, operator, waits)
    told = workspace.wait_condition("TrialsAdmitted", status="False")
    assert told["reason"] == "Queued"
    until(lambda: "insufficient unused quota for nvidia.com/gpu" in workspace.condition("TrialsAdmitted")["message"])
    assert f"Pod {waits} waits in queue gpus" in workspace.condition("TrialsAdmitted")["message"]
    assert workspace.condition("TrialsScheduled")["status"] == "True"
    assert sorted(map(held, workspace.pods())) == [False, False, True]

    others = [pod["metadata"]["name"] for pod in workspace.pods() if pod["metadata"]["name"] != waits]
    end(workspace, others[0], result(0.5))
    workspace.wait_condition("TrialsAdmitted")
    end(workspace, others[1], result(0.6))
    end(workspace, waits, result(0.7))
    assert workspace.wait_condition("Succeeded")["reason"] == "TrialsCompleted"
    assert failures(workspace) == [0, 0, 0]


@pytest.mark.usefixtures("operator")
def test_a_preempted_trial_is_queued_again_and_goes_on_from_its_checkpoint(workspace: Workspace) -> None:
    kueue_controller.quota(workspace.control_plane, workspace.namespace, "gpus", 1, preempts=True)
    kueue_controller.priorities(workspace.control_plane, low=1, high=2)
    trials = {"max": 1, "retries": 0}
    workspace.apply(experiment(queueName="gpus", workloadPriorityClass="low", trials=trials))
    end(workspace, "nas-0-1", endings.running())
    workspace.wait_trial("nas-0", lambda status: status.get("phase") == "Running")
    first = workspace.wait_pod("nas-0-1")

    workspace.apply(experiment("urgent", queueName="gpus", workloadPriorityClass="high", trials=trials))
    until(lambda: "deletionTimestamp" in (workspace.api.get("pods", "nas-0-1") or first)["metadata"])
    # The controller manager removes what is deleted and has no node, at times before its end is told.
    with suppress(httpx.HTTPStatusError):
        workspace.api.patch("pods", "nas-0-1", {"status": endings.exited(143, seconds=60)}, "status")
    end(workspace, "urgent-0-1", endings.running())
    status = workspace.wait_trial("nas-0", lambda status: status.get("phase") == "Queued")
    assert (status["attempt"], status.get("failures", 0)) == (2, 0)
    assert status["gpuSeconds"] > 0
    second = workspace.wait_pod("nas-0-2")
    assert held(second)
    assert checkpoints(second) == checkpoints(first)

    workspace.set_pod("urgent-0-1", result(0.9))
    workspace.wait_condition("Succeeded", "urgent")
    end(workspace, "nas-0-2", result(0.5))
    workspace.wait_condition("Succeeded")
    assert failures(workspace) == [0]


def test_a_queue_that_is_not_there_is_told_and_mended(workspace: Workspace, operator: Operator) -> None:
    kueue_controller.quota(workspace.control_plane, workspace.namespace, "gpus", 1)
    workspace.apply(experiment(queueName="absent", trials={"max": 1, "retries": 0}))
    queued_for_long(workspace, operator, "nas-0-1")
    until(lambda: "LocalQueue absent doesn't exist" in (workspace.condition("TrialsAdmitted")["message"] or ""))
    workspace.api.patch("nasexperiments", "nas", {"spec": {"queueName": "gpus"}})
    end(workspace, "nas-0-2", result(0.5))
    workspace.wait_condition("Succeeded")
    assert failures(workspace) == [0]


def test_nothing_runs_beside_the_quota_where_kueue_does_not_serve(workspace: Workspace, operator: Operator) -> None:
    workspace.control_plane.kubectl("label", "namespace", workspace.namespace, f"{kueue_controller.UNSERVED_LABEL}=1")
    workspace.apply(experiment(queueName="gpus", trials={"max": 1}))
    queued_for_long(workspace, operator, "nas-0-1")
    told = workspace.wait_condition("TrialsAdmitted", status="False")
    assert told["reason"] == "QueueNotServed"
    assert held(workspace.wait_pod("nas-0-1"))


@pytest.mark.usefixtures("operator")
def test_the_example_never_runs_more_at_a_time_than_its_quota(workspace: Workspace) -> None:
    examples = REPOSITORY / "examples"
    queue = list(yaml.safe_load_all((examples / "kueue" / "queue.yaml").read_text()))
    for one in queue:
        if one["kind"] == "LocalQueue":
            one["metadata"]["namespace"] = workspace.namespace
    workspace.control_plane.kubectl("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(queue))
    with workspace.control_plane.fake_pods(seconds=1):
        name = workspace.apply(yaml.safe_load((examples / "kueue.yaml").read_text()))
        workspace.wait_condition("Succeeded", name)
    statuses = [trial["status"] for trial in workspace.trials(name)]
    spans = [(status["startTime"], status["completionTime"]) for status in statuses]
    assert len(spans) == 8
    assert max(sum(start <= begin < end for start, end in spans) for begin, _ in spans) == 2
    assert failures(workspace, name) == [0] * 8
