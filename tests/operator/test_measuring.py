"""Candidates are measured on devices, also by an operator that was killed in between."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.cluster.conditions import until
from tests.operator import endings
from tests.operator.harness import Workspace, experiment
from tests.operator.test_metrics import exported, families, of_devices, samples, value
from tests.operator.test_quotas import quota
from tests.operator.test_server import port_of, reserved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from tests.cluster.control_plane import ControlPlane
    from tests.operator.api import Object

__all__ = ["reserved"]

pytestmark = pytest.mark.control_plane

POD = "nas-0-device-1-0-1"


def measured(device: dict[str, Any] | None = None, **spec: Any) -> Object:
    node = {"nodeSelector": {"board": "phone"}, "tolerations": [{"key": "board", "operator": "Exists"}]}
    latency = {"metric": "board_ms", "goal": "minimize", "measuredOn": {**node, "maxWait": "1s", **(device or {})}}
    objectives = [{"metric": "accuracy"}, latency]
    return experiment(**{"objectives": objectives, "storage": {"volumeClaim": "kept"}, "trials": {"max": 1}, **spec})


# Costs more than all that trials do.
PRICED = {"priceClass": "board", "resources": {"limits": {"example.com/npu": 1}}}
PRICES = {"cost": 100, "prices": {"default": 1, "board": 10}}


def benchmark(status: Object) -> Object:
    """What a node says of a benchmark's pod."""
    renamed = [{**one, "name": "benchmark"} for one in status.get("containerStatuses", ())]
    return {**status, **({"containerStatuses": renamed} if renamed else {})}


def scraped(reserved: socket.socket) -> list[Metric]:
    return families(httpx.get(f"http://127.0.0.1:{port_of(reserved)}/metrics", trust_env=False).text)


def told(reserved: socket.socket) -> dict[str, dict[tuple[str, ...], float]]:
    """What is told of the measurements, by metric."""
    found = samples(scraped(reserved))
    return {name: value(found, name, metric="board_ms") for name in of_devices()}


def test_what_a_device_says_joins_the_result_though_operators_are_killed(
    workspace: Workspace, reserved: socket.socket
) -> None:
    operator = workspace.operator(f"--port={port_of(reserved)}").start().wait_ready()
    bucket = {"url": "s3://artifacts/nas", "secret": "bucket"}
    workspace.apply(measured(PRICED, trials={"max": 2, "parallelism": 1}, budget=PRICES, storage=bucket))
    workspace.wait_pod("nas-0-1")
    workspace.set_pod("nas-0-1", endings.exited(0, endings.results(accuracy=0.5)))
    pod = workspace.wait_pod(POD)
    workspace.wait_pod("nas-1-1")
    operator.kill()
    workspace.take_lease_away()
    assert workspace.trial("nas-0")["status"]["phase"] == "Measuring"
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    assert spec["nodeSelector"] == {"board": "phone"}
    assert {"key": "board", "operator": "Exists"} in spec["tolerations"]
    assert (spec["automountServiceAccountToken"], spec["securityContext"]["runAsNonRoot"]) == (False, True)
    assert container["command"] == ["python", "-m", "kubenas_trial.cli.main", "latency", "onnx", "$(KUBENAS_MODEL)"]
    assert {"name": "tmp", "emptyDir": {"sizeLimit": "4Gi"}} in spec["volumes"]
    variables = {one["name"]: one["value"] for one in container["env"]}
    folder = f"nas-{workspace.experiment()['metadata']['uid'][:8]}"
    assert variables["KUBENAS_MODEL"] == f"s3://artifacts/nas/{folder}/nas-0/0.onnx"
    assert container["envFrom"] == [{"secretRef": {"name": "bucket"}}]
    assert variables["KUBENAS_METRIC"] == "board_ms"
    candidate = json.loads(variables["KUBENAS_CANDIDATE"])
    assert candidate["architecture"] == workspace.trial("nas-0")["spec"]["candidates"][0]["architecture"]
    assert [one["readOnly"] for one in container["volumeMounts"] if one["mountPath"] == "/checkpoints"] == [True]

    workspace.set_pod(POD, benchmark(endings.exited(0, json.dumps({"board_ms": 12.5}), seconds=3600)))
    operator.start().wait_ready()
    status = workspace.wait_trial("nas-0", lambda status: status.get("phase") == "Succeeded")
    assert {one["name"]: one["value"] for one in status["results"][0]["metrics"]} == {"accuracy": 0.5, "board_ms": 12.5}
    workspace.set_pod("nas-1-1", endings.exited(0, endings.results(accuracy=0.75)))
    workspace.wait_pod("nas-1-device-1-0-1")
    workspace.set_pod("nas-1-device-1-0-1", benchmark(endings.exited(0, json.dumps({"board_ms": 25}))))
    workspace.wait_condition("Succeeded")
    found = workspace.status()
    assert [one["trial"] for one in found["paretoFront"]] == ["nas-1", "nas-0"]
    assert {one["priceClass"]: one["cost"] for one in found["cost"]["classes"]}["board"] == 10.0
    assert found["cost"]["gpuHours"] >= 1.0
    until(lambda: workspace.pods() == [])
    assert sorted(workspace.created("pods")) == ["nas-0-1", POD, "nas-1-1", "nas-1-device-1-0-1"]
    assert exported(scraped(reserved)).items() >= of_devices().items()
    assert told(reserved) == {
        "kubenas_experiment_measurements_open": {("running",): 0, ("waiting",): 0},
        "kubenas_experiment_measurements_total": {("measured",): 2, ("given_up",): 0, ("failed",): 0},
        "kubenas_experiment_measurement_seconds_total": {(): 3600},
    }


def test_a_device_that_is_away_is_told_of_and_no_reason_to_hang(workspace: Workspace) -> None:
    workspace.operator().start().wait_ready()
    workspace.apply(measured())
    workspace.wait_pod("nas-0-1")
    workspace.set_pod("nas-0-1", endings.exited(0, endings.results(accuracy=0.5)))
    (container,) = workspace.wait_pod(POD)["spec"]["containers"]
    assert {"name": "KUBENAS_MODEL", "value": "/checkpoints/nas-0/0.onnx"} in container["env"]
    until(lambda: workspace.status()["counts"].get("measuring") == 1)
    assert workspace.condition("DevicesAvailable")["status"] == "True"
    workspace.set_pod(POD, endings.unschedulable("0/3 nodes are available"))
    told = workspace.wait_condition("Failed")
    assert told["reason"] == "NothingMeasured"
    assert workspace.condition("DevicesAvailable")["reason"] == "DeviceUnavailable"
    status = workspace.trial("nas-0")["status"]
    assert (status["phase"], status["conditions"][0]["reason"]) == ("Succeeded", "NotMeasured")
    assert "0/3 nodes are available" in status["conditions"][0]["message"]
    assert status["results"][0]["metrics"] == [{"name": "accuracy", "value": 0.5}]
    until(lambda: workspace.pods() == [])


def test_a_device_that_is_refused_holds_up_no_trial(workspace: Workspace) -> None:
    """As one for which the namespace has no quota."""
    quota(workspace, **{"requests.example.com/npu": "0"})
    workspace.operator().start().wait_ready()
    workspace.apply(measured({**PRICED, "maxWait": "1h"}, trials={"max": 2, "parallelism": 1}))
    for number in (0, 1):
        workspace.wait_pod(f"nas-{number}-1")
        workspace.set_pod(f"nas-{number}-1", endings.exited(0, endings.results(accuracy=0.5)))
    told = workspace.wait_condition("DevicesAvailable", status="False")
    assert told["reason"] == "DeviceUnavailable"
    assert "a pod is refused: Forbidden" in told["message"]
    assert "exceeded quota: bound" in told["message"]
    until(lambda: workspace.status()["counts"].get("measuring") == 2)
    assert workspace.condition("TrialsScheduled")["status"] == "True"
    workspace.control_plane.kubectl("delete", "quota", "bound", f"--namespace={workspace.namespace}")
    for number in (0, 1):
        workspace.wait_pod(f"nas-{number}-device-1-0-1")
        workspace.set_pod(f"nas-{number}-device-1-0-1", benchmark(endings.exited(0, json.dumps({"board_ms": 1}))))
    workspace.wait_condition("Succeeded")
    assert workspace.condition("DevicesAvailable")["status"] == "True"


def test_what_ran_of_a_measurement_is_counted_though_its_pod_is_deleted_or_the_search_suspended(
    workspace: Workspace, reserved: socket.socket
) -> None:
    workspace.operator(f"--port={port_of(reserved)}").start().wait_ready()
    workspace.apply(measured({**PRICED, "maxWait": "1h"}, budget=PRICES))
    workspace.wait_pod("nas-0-1")
    workspace.set_pod("nas-0-1", endings.exited(0, endings.results(accuracy=0.5)))

    def measurement() -> Object:
        (found,) = workspace.trial("nas-0")["status"]["measurements"]
        assert found["failures"] == 0
        return dict(found)

    def suspend(value: bool) -> None:
        workspace.api.patch("nasexperiments", "nas", {"spec": {"suspend": value}})

    stem, counted = POD.removesuffix("-1"), 0.0
    for attempt in (1, 2):
        pod = f"{stem}-{attempt}"
        workspace.wait_pod(pod)
        workspace.set_pod(pod, benchmark(endings.running()))
        until(lambda: told(reserved)["kubenas_experiment_measurements_open"] == {("running",): 1, ("waiting",): 0})
        if attempt == 1:
            workspace.api.delete("pods", pod)
        else:
            suspend(True)
        until(lambda n=attempt: measurement()["attempt"] == n + 1)  # type: ignore[misc]
        assert measurement()["seconds"] > counted
        counted = measurement()["seconds"]
    until(lambda: workspace.pods() == [])
    suspend(False)
    workspace.wait_pod(f"{stem}-3")
    workspace.set_pod(f"{stem}-3", benchmark(endings.exited(0, json.dumps({"board_ms": 1}))))
    workspace.wait_condition("Succeeded")
    classes = {one["priceClass"]: one["seconds"] for one in workspace.trial("nas-0")["status"]["classSeconds"]}
    assert classes["board"] == pytest.approx(measurement()["seconds"])


@pytest.fixture
def board(installed: ControlPlane) -> Iterator[None]:
    """A node with the label, and Kubernetes' own scheduler."""
    labels = {"board": "phone", "kubernetes.io/hostname": "board"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "board", "labels": labels}}
    status = {
        "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "9"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    installed.kubectl("create", "--filename=-", stdin=json.dumps(node))
    installed.kubectl(
        "patch", "node", "board", "--subresource=status", "--type=merge", f"--patch={json.dumps({'status': status})}"
    )
    kubeconfig = installed.identity("scheduler", ["system:masters"])
    installed.start(
        "kube-scheduler", ["kube-scheduler", f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0"]
    )
    yield
    installed.stop("kube-scheduler")
    installed.kubectl("delete", "node", "board")


@pytest.mark.usefixtures("board")
def test_two_namespaces_never_measure_on_one_node_at_once(workspace: Workspace, other_workspace: Workspace) -> None:
    """Nor two operators: the scheduler sees to it."""
    both = [workspace, other_workspace]
    for one in both:
        one.operator().start().wait_ready()
        document = measured(storage={"url": "s3://artifacts"})
        document["spec"]["objectives"][1]["measuredOn"] |= {"tolerations": [{"operator": "Exists"}], "maxWait": "1h"}
        one.apply(document)
    for one in both:
        one.wait_pod("nas-0-1")
        one.set_pod("nas-0-1", endings.exited(0, endings.results(accuracy=0.5)))
        one.wait_pod(POD)

    def nodes() -> list[str | None]:
        return [one.wait_pod(POD)["spec"].get("nodeName") for one in both]

    def waits_for_the_other(one: Workspace) -> bool:
        conditions = one.wait_pod(POD).get("status", {}).get("conditions", ())
        return any("anti-affinity" in condition.get("message", "") for condition in conditions)

    until(lambda: nodes() in (["board", None], [None, "board"]))
    first, second = both if nodes()[0] else both[::-1]
    until(lambda: waits_for_the_other(second))
    first.set_pod(POD, benchmark(endings.exited(0, json.dumps({"board_ms": 1}))))
    first.wait_condition("Succeeded")
    until(lambda: second.wait_pod(POD)["spec"].get("nodeName") == "board")
    second.set_pod(POD, benchmark(endings.exited(0, json.dumps({"board_ms": 2}))))
    second.wait_condition("Succeeded")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"storage": None}, "storage is required by objectives with measuredOn"),
        (
            {"objectives": [{"metric": "board_ms", "measuredOn": {"nodeSelector": {"a": "b"}}}]},
            "measuredOn is of every",
        ),
        (
            {"objectives": [{"metric": "a"}, {"metric": "b", "measuredOn": {"nodeSelector": {}}}]},
            "should have at least 1 properties",
        ),
    ],
)
def test_the_apiserver_says_what_is_missing(workspace: Workspace, spec: dict[str, Any], words: str) -> None:
    document = measured()
    document["spec"] |= spec
    document["spec"] = {name: value for name, value in document["spec"].items() if value is not None}
    with pytest.raises(AssertionError, match=words):
        workspace.apply(document)
