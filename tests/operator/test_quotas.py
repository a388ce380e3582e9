"""Namespaces whose administrators bound what pods may ask for."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.cluster.conditions import until
from tests.operator import endings
from tests.operator.harness import Workspace, experiment

if TYPE_CHECKING:
    from tests.operator.api import Object

pytestmark = [pytest.mark.control_plane, pytest.mark.usefixtures("operator")]

ASKED = {"requests.cpu": "4", "requests.memory": "8Gi", "limits.cpu": "4", "limits.memory": "8Gi"}
TRIES = 7


def quota(workspace: Workspace, **hard: str) -> None:
    """Bound the namespace; until its status says so the apiserver takes no pods at all."""
    document = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "bound"}, "spec": {"hard": hard}}
    workspace.api.create("resourcequotas", document)
    until(lambda: (workspace.api.get("resourcequotas", "bound") or {}).get("status", {}).get("hard") == hard)


def limit_range(workspace: Workspace, **limits: dict[str, str]) -> None:
    limit = {"type": "Container", **limits}
    document = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "range"}, "spec": {"limits": [limit]}}
    workspace.api.create("limitranges", document)


def resources(**limits: str) -> Object:
    """A change of an experiment by which its trainers ask for so much."""
    container = {"name": "trainer", "resources": {"limits": limits}}
    return {"spec": {"trialTemplate": {"spec": {"schedulerName": "nobody", "containers": [container]}}}}


def tries(workspace: Workspace) -> list[float]:
    """When the operator has asked for pods in vain, in seconds."""
    return [
        datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp()
        for entry in workspace.writes()
        if (entry["verb"], entry["objectRef"]["resource"]) == ("create", "pods")
        and entry["responseStatus"]["code"] == 403
    ]


def test_a_quota_that_wants_cpu_and_memory_is_told_and_met_by_the_template(workspace: Workspace) -> None:
    quota(workspace, **ASKED)
    workspace.apply(experiment(trials={"max": 1}))
    said = workspace.wait_condition("TrialsScheduled", status="False")
    assert said["reason"] == "PodRefused"
    assert "spec.trialTemplate" in said["message"]
    for resource in ASKED:
        assert f"{resource} for: trainer" in said["message"]

    until(lambda: len(tries(workspace)) >= TRIES)
    asked = tries(workspace)
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert max(pauses) > 1, "each time it waits longer"
    assert workspace.created("nastrials") == ["nas-0"]
    assert workspace.trial("nas-0").get("status", {}).get("failures", 0) == 0

    workspace.api.patch("nasexperiments", "nas", resources(cpu="1", memory="1Gi"))
    workspace.set_pod("nas-0-1", endings.exited(0, endings.results(accuracy=0.5)))
    workspace.wait_condition("Succeeded")
    assert workspace.condition("TrialsScheduled")["status"] == "True"


def test_a_limit_range_fills_in_what_a_quota_wants(workspace: Workspace) -> None:
    limit_range(workspace, default={"cpu": "1", "memory": "1Gi"})
    quota(workspace, **ASKED)
    with workspace.control_plane.fake_pods():
        workspace.apply(experiment(trials={"max": 2, "parallelism": 2}))
        workspace.wait_condition("Succeeded")
    assert tries(workspace) == []


def test_a_limit_range_that_wants_more_is_told(workspace: Workspace) -> None:
    limit_range(workspace, min={"memory": "1Gi"}, default={"memory": "2Gi"}, max={"memory": "4Gi"})
    workspace.apply(experiment(trials={"max": 1}, **resources(memory="16Gi")["spec"]))
    said = workspace.wait_condition("TrialsScheduled", status="False")
    assert said["reason"] == "PodRefused"
    assert "maximum memory usage per Container is 4Gi, but limit is 16Gi" in said["message"]
    workspace.api.patch("nasexperiments", "nas", resources(memory="4Gi"))
    workspace.wait_pod("nas-0-1")


def test_a_search_goes_on_with_as_many_pods_as_a_quota_has_room_for(workspace: Workspace) -> None:
    quota(workspace, pods="1")
    workspace.apply(experiment(trials={"max": 3, "parallelism": 2}))
    # Both are asked for at once, and either may come first.
    until(lambda: workspace.pods() != [])
    workspace.set_pod(workspace.pods()[0]["metadata"]["name"], endings.running())
    said = workspace.wait_condition("TrialsScheduled", status="False")
    assert "exceeded quota: bound, requested: pods=1, used: pods=1, limited: pods=1" in said["message"]
    with workspace.control_plane.fake_pods(seconds=0.1):
        workspace.wait_condition("Succeeded")
    assert [trial["status"]["failures"] for trial in workspace.trials()] == [0, 0, 0]
    assert workspace.status()["progress"] == "3/3"
