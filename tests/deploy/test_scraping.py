"""Prometheus with the scrape job of deploy/: from a trial's pod to the learning curve that the operator reads."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from kubenas.metrics.prometheus import read_curves
from tests.cluster import programs
from tests.deploy.test_manifests import DEPLOY, applied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.control_plane

TRIAL_LABELS = {"kubenas.io/experiment": "digits", "kubenas.io/trial": "digits-0"}


@pytest.fixture
def trainer() -> Iterator[int]:
    """The port of a trainer's metrics: one candidate at step 3, and something of the trainer's own."""
    registry = CollectorRegistry()
    Gauge("kubenas_trial_value", "Value", ["candidate", "metric"], registry=registry).labels("0", "accuracy").set(0.75)
    Gauge("kubenas_trial_step", "Step", ["candidate"], registry=registry).labels("0").set(3)
    Gauge("batches_seen", "Of no interest", registry=registry).set(7)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def prometheus(control_plane: ControlPlane) -> Iterator[str]:
    """The URL of a Prometheus that finds pods with the rights of deploy/prometheus."""
    with applied(control_plane, "prometheus"):
        config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())
        (discovery,) = config["scrape_configs"][0]["kubernetes_sd_configs"]
        discovery["kubeconfig_file"] = str(control_plane.service_account("monitoring", "prometheus"))
        file = control_plane.folder / "prometheus.yaml"
        file.write_text(yaml.safe_dump(config))
        control_plane.start(
            "prometheus",
            [
                str(programs.prometheus() / "prometheus"),
                f"--config.file={file}",
                f"--storage.tsdb.path={control_plane.folder}/prometheus",
                "--web.listen-address=127.0.0.1:0",
            ],
        )
        log = control_plane.logs / "prometheus.log"
        yield f"http://{until(lambda: re.findall(r'Listening on.*address=(127[0-9.:]+)', log.read_text()))[0]}"
        control_plane.stop("prometheus")


def until(ask: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 120
    while not (answer := ask()):
        assert time.monotonic() < deadline, "not after two minutes"
        time.sleep(0.1)
    return answer


def run_pod(control_plane: ControlPlane, namespace: str, name: str, labels: dict[str, str], port: int) -> None:
    """A pod that no node has, said to run on this machine."""
    container = {"name": "trainer", "image": "none", "ports": [{"name": "metrics", "containerPort": port}]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"schedulerName": "nobody", "containers": [container]},
    }
    control_plane.kubectl("create", f"--namespace={namespace}", "--filename=-", stdin=json.dumps(pod))
    set_status(
        control_plane, namespace, name, {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    )


def set_status(control_plane: ControlPlane, namespace: str, name: str, status: dict[str, Any]) -> None:
    patch = json.dumps({"status": status})
    control_plane.kubectl("patch", "pod", name, f"--namespace={namespace}", "--subresource=status", f"--patch={patch}")


def ask(url: str, path: str, **parameters: str) -> Any:
    return httpx.get(f"{url}/api/v1/{path}", params=parameters).raise_for_status().json()["data"]


async def curves(url: str, namespace: str) -> Any:
    async with httpx.AsyncClient() as client:
        return await read_curves(client, url, namespace, "digits", 300)


def test_from_the_pod_to_the_curve(control_plane: ControlPlane, namespace: str, trainer: int, prometheus: str) -> None:
    run_pod(control_plane, namespace, "digits-0-1", TRIAL_LABELS, trainer)
    run_pod(control_plane, namespace, "other", {"app": "other"}, trainer)

    assert until(lambda: asyncio.run(curves(prometheus, namespace))) == {"digits-0-1": {"0": {3: {"accuracy": 0.75}}}}

    (value,) = ask(prometheus, "query", query="kubenas_trial_value")["result"]
    del value["metric"]["instance"]
    assert value["metric"] == {
        "__name__": "kubenas_trial_value",
        "job": "kubenas-trials",
        "namespace": namespace,
        "pod": "digits-0-1",
        "experiment": "digits",
        "trial": "digits-0",
        "candidate": "0",
        "metric": "accuracy",
    }
    names = {one for one in ask(prometheus, "label/__name__/values") if not re.match(r"up$|scrape_", one)}
    assert names == {"kubenas_trial_value", "kubenas_trial_step"}

    (target,) = ask(prometheus, "targets", state="active")["activeTargets"]
    assert target["labels"]["pod"] == "digits-0-1"
    set_status(control_plane, namespace, "digits-0-1", {"phase": "Succeeded"})
    until(lambda: not ask(prometheus, "targets", state="active")["activeTargets"])
