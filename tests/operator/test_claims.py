"""Trials whose devices are claimed (dynamic resource allocation), with the real scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from kubenas.cluster.observe import attempt_of
from kubenas.experiment.scheduled import scheduled
from tests.cluster.conditions import until
from tests.operator import endings
from tests.operator.harness import Operator, Workspace, experiment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.operator.api import Object

pytestmark = pytest.mark.control_plane

DRIVER = "gpu.example.com"
VERSION = "resource.k8s.io/v1"
NODE = "node-with-gpus"
TEMPLATE = {
    "spec": {
        "containers": [{"name": "trainer", "resources": {"$patch": "replace", "claims": [{"name": "gpus"}]}}],
        "resourceClaims": [{"name": "gpus", "resourceClaimTemplateName": "two-gpus"}],
    }
}


def apply(workspace: Workspace, *objects: Object) -> None:
    workspace.control_plane.kubectl("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(objects))


def device_class(workspace: Workspace) -> Object:
    expression = f"device.driver == '{DRIVER}-{workspace.namespace}'"
    metadata = {"name": workspace.namespace}
    spec = {"selectors": [{"cel": {"expression": expression}}]}
    return {"apiVersion": VERSION, "kind": "DeviceClass", "metadata": metadata, "spec": spec}


def claim_template(workspace: Workspace, devices: int) -> Object:
    request = {"name": "gpu", "exactly": {"deviceClassName": workspace.namespace, "count": devices}}
    return {
        "apiVersion": VERSION,
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": "two-gpus", "namespace": workspace.namespace},
        "spec": {"spec": {"devices": {"requests": [request]}}},
    }


def published(workspace: Workspace, devices: int) -> Object:
    """What a driver says of a node's devices."""
    spec = {
        "driver": f"{DRIVER}-{workspace.namespace}",
        "nodeName": NODE,
        "pool": {"name": NODE, "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": f"gpu-{number}"} for number in range(devices)],
    }
    metadata = {"name": workspace.namespace}
    return {"apiVersion": VERSION, "kind": "ResourceSlice", "metadata": metadata, "spec": spec}


@pytest.fixture
def node(workspace: Workspace) -> Iterator[None]:
    """A node that nobody runs, and the scheduler."""
    cluster = workspace.control_plane
    cluster.start(
        "kube-scheduler",
        ["kube-scheduler", f"--kubeconfig={cluster.kubeconfig}", "--leader-elect=false", "--secure-port=0"],
    )
    apply(workspace, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
    status: dict[str, Any] = {
        "allocatable": {"pods": "110", "cpu": "64", "memory": "64Gi"},
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "KubeletReady",
                "lastHeartbeatTime": endings.moment(),
                "lastTransitionTime": endings.moment(),
            }
        ],
    }
    status["capacity"] = status["allocatable"]
    cluster.kubectl("patch", "node", NODE, "--subresource=status", f"--patch={yaml.safe_dump({'status': status})}")
    yield
    cluster.stop("kube-scheduler")
    cluster.kubectl("delete", "node", NODE)
    cluster.kubectl(
        "delete", f"resourceslice/{workspace.namespace}", f"deviceclass/{workspace.namespace}", "--ignore-not-found"
    )


@pytest.mark.usefixtures("node", "operator")
def test_each_device_of_a_claim_counts_in_the_budget(workspace: Workspace) -> None:
    apply(workspace, device_class(workspace), published(workspace, 2), claim_template(workspace, 2))
    workspace.apply(experiment(trialTemplate=TEMPLATE, trials={"max": 3}))
    until(lambda: workspace.wait_pod("nas-0-1")["spec"].get("nodeName"))
    workspace.set_pod("nas-0-1", endings.running())
    workspace.wait_trial("nas-0", lambda status: status.get("gpus") == 2)
    workspace.api.patch("nasexperiments", "nas", {"spec": {"budget": {"gpuHours": 1e-4}}})
    assert workspace.wait_condition("Failed")["reason"] == "BudgetExhausted"
    status = workspace.trial("nas-0")["status"]
    assert status["phase"] == "Pruned"
    [ran] = status["classSeconds"]
    assert status["gpuSeconds"] == pytest.approx(2 * ran["seconds"])


@pytest.mark.usefixtures("node")
def test_a_claim_that_no_driver_serves_is_told(workspace: Workspace, operator: Operator) -> None:
    apply(workspace, device_class(workspace), claim_template(workspace, 2))
    workspace.apply(experiment(trialTemplate=TEMPLATE, trials={"max": 1}))
    [said] = until(lambda: workspace.wait_pod("nas-0-1").get("status", {}).get("conditions"))
    operator.kill()
    workspace.take_lease_away()
    workspace.set_pod("nas-0-1", {"conditions": [said | {"lastTransitionTime": endings.moment(61)}]})
    operator.start().wait_ready()
    told = workspace.wait_condition("TrialsScheduled", status="False")
    assert told["reason"] == "ClaimNotAllocated"
    assert said["message"] in told["message"]
    assert "kubectl get resourceslices,deviceclasses" in told["message"]


@pytest.mark.usefixtures("node", "operator")
def test_claims_that_cannot_be_had_are_told(workspace: Workspace) -> None:
    """The scheduler says nothing of such pods, and one that runs keeps its claim."""
    metadata = {"name": "one-claim", "namespace": workspace.namespace}
    hard = {"count/resourceclaims.resource.k8s.io": "1"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard}}
    apply(workspace, device_class(workspace), published(workspace, 2), claim_template(workspace, 2), quota)
    workspace.apply(experiment("served", trialTemplate=TEMPLATE))
    until(lambda: workspace.wait_pod("served-0-1")["spec"].get("nodeName"))
    [made] = workspace.wait_pod("served-0-1")["status"]["resourceClaimStatuses"]
    claim = made["resourceClaimName"]
    where = f"--namespace={workspace.namespace}"
    workspace.control_plane.kubectl("delete", "resourceclaim", claim, where, "--wait=false")
    claims = {
        "no-template": ({"resourceClaimTemplateName": "absent"}, "ResourceClaimTemplate absent"),
        "no-quota": ({"resourceClaimTemplateName": "two-gpus"}, "quota for ResourceClaims"),
        "no-claim": ({"resourceClaimName": "absent"}, "ResourceClaim absent is there"),
        "leaving": ({"resourceClaimName": claim}, f"ResourceClaim {claim} is there, and not being deleted"),
    }
    for name, (wanted, _) in claims.items():
        spec = {**TEMPLATE["spec"], "resourceClaims": [{"name": "gpus", **wanted}]}
        workspace.apply(experiment(name, trialTemplate={"spec": spec}))
    for name, (_, words) in claims.items():
        told = scheduled(None, [attempt_of(workspace.wait_pod(f"{name}-0-1"))], 0)
        assert (told.reason, words in told.message) == ("ClaimNotAllocated", True), told.message
    workspace.set_pod("served-0-1", endings.running())
    workspace.wait_trial("served-0", lambda status: status.get("gpus") == 2)
