"""Prometheus with the scrape job of deploy/: from a trial's pod to the learning curve that the operator reads."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from kubenas.metrics.fetch import http_client
from kubenas.metrics.prometheus import read_curves
from tests.cluster.conditions import until
from tests.cluster.prometheus_server import prometheus as started
from tests.deploy.test_manifests import DEPLOY, applied
from tests.metrics.server import Answer, serving, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.control_plane

TRIAL_LABELS = {
    "kubenas.io/experiment": "digits",
    "kubenas.io/experiment-uid": "uid-1",
    "kubenas.io/trial": "digits-0",
}
POD = "digits-0-1"
CURVE = {POD: {"0": {3: {"accuracy": 0.75}}}}


@pytest.fixture(scope="module")
def prometheus(control_plane: ControlPlane) -> Iterator[str]:
    """The URL of a Prometheus that finds pods with the rights of deploy/prometheus."""
    control_plane.kubectl("apply", "--server-side", "--kustomize", str(DEPLOY.parent / "crds"))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    with applied(control_plane, "prometheus"):
        config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())
        for job in config["scrape_configs"]:
            (discovery,) = job["kubernetes_sd_configs"]
            discovery["kubeconfig_file"] = str(control_plane.service_account("monitoring", "prometheus"))
        with started(control_plane, config) as url:
            yield url


@pytest.fixture
def operator_namespace(control_plane: ControlPlane) -> Iterator[str]:
    """The namespace that the operator is installed in."""
    control_plane.kubectl("create", "namespace", "kubenas-system")
    yield "kubenas-system"
    control_plane.kubectl("delete", "namespace", "kubenas-system")


def owned_by(control_plane: ControlPlane, namespace: str, kind: str) -> dict[str, Any]:
    """A reference to an object that is there, since a pod without its owner is collected as garbage."""
    candidate = {"id": "0", "name": "x", "architecture": {}, "epochs": 1}
    owners: dict[str, dict[str, Any]] = {
        "NASTrial": {
            "apiVersion": "kubenas.io/v1alpha1",
            "spec": {"number": 0, "resultsSeen": 0, "candidates": [candidate]},
        },
        "ConfigMap": {"apiVersion": "v1"},
    }
    document = {**owners[kind], "kind": kind, "metadata": {"name": "digits-0"}}
    command = ["apply", f"--namespace={namespace}", "--output=json", "--filename=-"]
    uid = json.loads(control_plane.kubectl(*command, stdin=json.dumps(document)))["metadata"]["uid"]
    return {"apiVersion": document["apiVersion"], "kind": kind, "name": "digits-0", "uid": uid, "controller": True}


def run_pod(
    control_plane: ControlPlane, namespace: str, name: str, labels: dict[str, str], port: int, owner: str = "NASTrial"
) -> None:
    """A pod that no node has, said to run on this machine."""
    container = {"name": "trainer", "image": "none", "ports": [{"name": "metrics", "containerPort": port}]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels, "ownerReferences": [owned_by(control_plane, namespace, owner)]},
        "spec": {"schedulerName": "nobody", "containers": [container]},
    }
    control_plane.kubectl("create", f"--namespace={namespace}", "--filename=-", stdin=json.dumps(pod))
    set_status(
        control_plane, namespace, name, {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    )


@contextmanager
def operator_metrics() -> Iterator[int]:
    """The port of what an operator exports of an experiment and of itself."""
    registry = CollectorRegistry()
    labels = ["namespace", "experiment"]
    Gauge("kubenas_experiment_front_size", "Size", labels, registry=registry).labels("team", "digits").set(7)
    Gauge("kubenas_leader", "Leader", registry=registry).set(1)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run_operator(
    control_plane: ControlPlane, namespace: str, port: int, address: str = "127.0.0.1", node: str | None = None
) -> None:
    """A pod with the operator's labels and port that no kubelet knows of, said to run on this machine."""
    labels = {"app.kubernetes.io/name": "kubenas-operator", "app.kubernetes.io/part-of": "kubenas"}
    container = {"name": "operator", "image": "none", "ports": [{"name": "http", "containerPort": port}]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "operator-0", "labels": labels},
        "spec": {"schedulerName": "nobody", "containers": [container], "nodeName": node},
    }
    control_plane.kubectl("create", f"--namespace={namespace}", "--filename=-", stdin=json.dumps(pod))
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    set_status(control_plane, namespace, "operator-0", status)


def set_status(control_plane: ControlPlane, namespace: str, name: str, status: dict[str, Any]) -> None:
    patch = json.dumps({"status": status})
    control_plane.kubectl("patch", "pod", name, f"--namespace={namespace}", "--subresource=status", f"--patch={patch}")


def ask(url: str, path: str, **parameters: str) -> Any:
    return httpx.get(f"{url}/api/v1/{path}", params=parameters).raise_for_status().json()["data"]


def targets(url: str, namespace: str) -> list[Any]:
    active = ask(url, "targets", state="active")["activeTargets"]
    return [one for one in active if one["labels"]["namespace"] == namespace]


def dropped(url: str, namespace: str) -> set[str]:
    """The pods of a namespace that are found and left out; Prometheus lists them anew with each discovery."""
    found = [one["discoveredLabels"] for one in ask(url, "targets", state="dropped")["droppedTargets"]]
    return {one["__meta_kubernetes_pod_name"] for one in found if one["__meta_kubernetes_namespace"] == namespace}


def curves(url: str, namespace: str, uid: str = "uid-1", pod: str = POD) -> Any:
    """The curve that the operator reads of an experiment whose trial runs in a pod."""

    async def read() -> Any:
        async with http_client() as client:
            found, fault = await read_curves(client, url, namespace, uid, {pod: 0.0}, 300)
        assert fault is None
        return found

    return asyncio.run(read())


def test_from_the_pod_to_the_curve(control_plane: ControlPlane, namespace: str, trainer: int, prometheus: str) -> None:
    run_pod(control_plane, namespace, POD, TRIAL_LABELS, trainer)
    run_pod(control_plane, namespace, "other", {"app": "other"}, trainer)

    assert until(lambda: curves(prometheus, namespace)) == CURVE

    (value,) = ask(prometheus, "query", query=f'kubenas_trial_value{{namespace="{namespace}"}}')["result"]
    del value["metric"]["instance"]
    assert value["metric"] == {
        "__name__": "kubenas_trial_value",
        "job": "kubenas-trials",
        "namespace": namespace,
        "pod": POD,
        "experiment": "digits",
        "experiment_uid": "uid-1",
        "trial": "digits-0",
        "candidate": "0",
        "metric": "accuracy",
    }
    names = {one for one in ask(prometheus, "label/__name__/values") if not re.match(r"up$|scrape_", one)}
    assert names == {"kubenas_trial_value", "kubenas_trial_step"}

    (target,) = targets(prometheus, namespace)
    assert target["labels"]["pod"] == POD
    set_status(control_plane, namespace, POD, {"phase": "Succeeded"})
    until(lambda: not targets(prometheus, namespace))


def test_other_experiments_pods_and_jobs_have_no_part_in_a_curve(
    control_plane: ControlPlane, namespace: str, trainer: int, prometheus: str
) -> None:
    """A deleted experiment of the same name, an earlier attempt, another namespace, pods that look like a trial's."""
    run_pod(control_plane, namespace, POD, TRIAL_LABELS, trainer)
    run_pod(control_plane, namespace, "forged", TRIAL_LABELS, trainer, owner="ConfigMap")
    unlabelled = {label: value for label, value in TRIAL_LABELS.items() if label != "kubenas.io/experiment-uid"}
    run_pod(control_plane, namespace, "unlabelled", unlabelled, trainer)
    assert until(lambda: curves(prometheus, namespace)) == CURVE
    assert curves(prometheus, namespace, uid="uid-0") == {}
    assert curves(prometheus, namespace, pod="digits-0-2") == {}
    assert curves(prometheus, namespace, pod="digits-0.1") == {}
    assert curves(prometheus, "another") == {}
    until(lambda: dropped(prometheus, namespace) == {"forged", "unlabelled"})


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (whole(b"# one more line\n" * 40_000), "body size limit exceeded"),
        (whole(b"".join(b'kubenas_trial_step{candidate="%d"} 1\n' % n for n in range(1200))), "sample limit exceeded"),
        (
            whole(b"kubenas_trial_step{" + b",".join(b'l%d="x"' % n for n in range(30)) + b"} 1\n"),
            "label_limit exceeded",
        ),
        (whole(b'kubenas_trial_step{candidate="' + b"x" * 600 + b'"} 1\n'), "label_value_length_limit exceeded"),
    ],
    ids=["bytes", "samples", "labels", "values"],
)
def test_a_hostile_target_is_not_stored(
    hostile: Answer, message: str, control_plane: ControlPlane, namespace: str, prometheus: str
) -> None:
    with serving(hostile) as server:
        run_pod(control_plane, namespace, POD, TRIAL_LABELS, int(server.url.rpartition(":")[2]))

        def errors() -> list[str]:
            return [one["lastError"] for one in targets(prometheus, namespace) if one["lastError"]]

        (error,) = until(errors)
    assert message in error
    assert ask(prometheus, "query", query=f'kubenas_trial_step{{namespace="{namespace}"}}')["result"] == []


def test_the_operator_says_whose_an_experiment_is_and_nobody_else_may(
    control_plane: ControlPlane, namespace: str, operator_namespace: str, prometheus: str
) -> None:
    with operator_metrics() as port:
        run_operator(control_plane, namespace, port)
        run_operator(control_plane, operator_namespace, port)
        common = {"job": "kubenas-operator", "pod": "operator-0", "instance": f"127.0.0.1:{port}"}
        until(lambda: ask(prometheus, "query", query="kubenas_leader")["result"])
        for name, owned in {
            "kubenas_experiment_front_size": {"namespace": "team", "experiment": "digits"},
            "kubenas_leader": {"namespace": operator_namespace},
        }.items():
            (found,) = ask(prometheus, "query", query=name)["result"]
            assert found["metric"] == {"__name__": name, **owned, **common}
        assert not targets(prometheus, namespace)
