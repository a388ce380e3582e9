"""Candidates measured on a node that is the device, by two experiments that share it, while it is away for a while."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import yaml

from tests.cluster.cluster import Cluster
from tests.cluster.conditions import until
from tests.cluster.control_plane import REPOSITORY
from tests.cluster.images import BASE
from tests.cluster.installed import get, search_namespace, shared_claim
from tests.operator.harness import experiment

pytestmark = pytest.mark.node

# Measurements of several namespaces must not disturb each other either.
NAMESPACES = ("devices-a", "devices-b")
DEVICE = "node-2"
LABEL = "example.com/board"
TRIALS = 3
TRAINER = """
import json, os, pathlib
trial = json.loads(os.environ["KUBENAS_TRIAL"])
assert trial["export"] == "onnx"
folder = pathlib.Path(os.environ["KUBENAS_CHECKPOINT_DIR"])
folder.mkdir(parents=True, exist_ok=True)
(folder / "0.onnx").write_text(trial["trial"])
results = [{"candidate": "0", "step": trial["candidates"][0]["epochs"], "metrics": {"accuracy": 0.5}}]
pathlib.Path("/dev/termination-log").write_text(json.dumps({"results": results}))
"""
# Takes a while, so that another one on the node would overlap; tells when, and what it was given.
BENCHMARK = """
import json, os, pathlib, time
began = time.time()
trial = pathlib.Path(os.environ["KUBENAS_MODEL"]).read_text()
assert trial == json.loads(os.environ["KUBENAS_CANDIDATE"])["trial"]
time.sleep(1.5)
said = {"board_ms": float(trial.rpartition("-")[2]), "board_ms_began": began, "board_ms_ended": time.time()}
pathlib.Path("/dev/termination-log").write_text(json.dumps(said))
"""


@pytest.fixture(scope="module")
def kubenas(installed_cluster: Cluster) -> Iterator[Cluster]:
    for name in NAMESPACES:
        search_namespace(installed_cluster, name)
    yield installed_cluster
    installed_cluster.kubectl("label", "node", DEVICE, f"{LABEL}-")
    for name in NAMESPACES:
        installed_cluster.kubectl("delete", "namespace", name, "--wait=false")


def searched(claim: str) -> dict[str, Any]:
    trainer = {
        "name": "trainer",
        "image": BASE,
        "command": ["python3", "-c", TRAINER],
        "resources": {"limits": {"memory": "64Mi"}},
    }
    device = {
        "nodeSelector": {LABEL: "phone"},
        "image": BASE,
        "command": ["python3", "-c", BENCHMARK],
        "resources": {"limits": {"memory": "64Mi"}},
        "priceClass": "board",
    }
    return experiment(
        objectives=[{"metric": "accuracy"}, {"metric": "board_ms", "goal": "minimize", "measuredOn": device}],
        search={"algorithm": "random", "seed": 1},
        storage={"volumeClaim": claim},
        budget={"prices": {"default": 1, "board": 2}},
        trials={"max": TRIALS, "parallelism": 1},
        trialTemplate={"spec": {"terminationGracePeriodSeconds": 1, "containers": [trainer]}},
    )


def test_a_device_is_waited_for_and_measures_one_at_a_time(kubenas: Cluster) -> None:
    with shared_claim(kubenas, NAMESPACES[0]) as first, shared_claim(kubenas, NAMESPACES[1]) as second:
        for namespace, claim in zip(NAMESPACES, (first, second), strict=True):
            kubenas.kubectl("apply", f"--namespace={namespace}", "--filename=-", stdin=json.dumps(searched(claim)))
        # No node has the label: all trials are trained meanwhile.
        until(lambda: all(counts(kubenas, one).get("measuring") == TRIALS for one in NAMESPACES), 300)
        kubenas.kubectl("label", "node", DEVICE, f"{LABEL}=phone")
        for namespace in NAMESPACES:
            kubenas.kubectl(
                "wait", f"--namespace={namespace}", "--for=condition=Succeeded", "nas/nas", "--timeout=300s"
            )
        intervals = sorted(measured(one) for namespace in NAMESPACES for one in trials(kubenas, namespace))
        assert len(intervals) == 2 * TRIALS
        assert all(ended <= began for (_, ended), (began, _) in pairwise(intervals))
        for namespace in NAMESPACES:
            classes = get(kubenas, "nas/nas", f"--namespace={namespace}")["status"]["cost"]["classes"]
            assert [one["cost"] for one in classes if one["priceClass"] == "board"] > [0]
        for namespace in NAMESPACES:
            until(lambda namespace=namespace: get(kubenas, "pods", f"--namespace={namespace}")["items"] == [])  # type: ignore[misc]


def counts(kubenas: Cluster, namespace: str) -> dict[str, int]:
    found: dict[str, int] = get(kubenas, "nas/nas", f"--namespace={namespace}").get("status", {}).get("counts", {})
    return found


def trials(kubenas: Cluster, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(kubenas, "nastrials", f"--namespace={namespace}")["items"]
    return found


def measured(trial: dict[str, Any]) -> tuple[float, float]:
    """When a trial was measured, by the device's clock."""
    (result,), (measurement,) = trial["status"]["results"], trial["status"]["measurements"]
    values = {one["name"]: one["value"] for one in result["metrics"]}
    assert values["board_ms"] == trial["spec"]["number"]
    assert (measurement["node"], measurement["failures"]) == (DEVICE, 0)
    return values["board_ms_began"], values["board_ms_ended"]


def test_the_example_measures_what_it_trains(kubenas: Cluster) -> None:
    """With KubeNAS' own trainer and benchmark."""
    document = yaml.safe_load((REPOSITORY / "examples" / "device-latency.yaml").read_text())
    document["spec"]["evaluation"]["epochs"] = 1
    document["spec"]["trials"] = {"max": 2, "parallelism": 1}
    where = f"--namespace={NAMESPACES[0]}"
    kubenas.kubectl("label", "node", DEVICE, f"{LABEL}=phone", "--overwrite")
    with shared_claim(kubenas, NAMESPACES[0], "example") as claim:
        document["spec"]["storage"]["volumeClaim"] = claim
        kubenas.kubectl("apply", where, "--filename=-", stdin=json.dumps(document))
        kubenas.kubectl("wait", where, "--for=condition=Succeeded", "nas/device-latency", "--timeout=500s")
    front = get(kubenas, "nas/device-latency", where)["status"]["paretoFront"]
    assert front
    for member in front:
        values = {one["name"]: one["value"] for one in member["metrics"]}
        assert 0 < values["board_ms_lower"] <= values["board_ms"] <= values["board_ms_upper"]
