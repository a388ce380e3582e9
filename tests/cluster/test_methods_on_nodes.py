"""Searches that judge without training alone, and stop early: real pods, some killed together with the operator."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.conditions import until
from tests.cluster.installed import OPERATOR_NAMESPACE, digits, get, search_namespace, shared_claim

pytestmark = pytest.mark.node

NAMESPACE = "methods"
WHERE = f"--namespace={NAMESPACE}"
# Of a supernet: enough for it to be killed before the last.
EPOCHS = 20
# So many that one is stopped before its last, however late Prometheus sees its first.
STOPPED_EPOCHS = 150


@pytest.fixture(scope="module")
def kubenas(installed_cluster: Cluster) -> Iterator[Cluster]:
    search_namespace(installed_cluster, NAMESPACE)
    yield installed_cluster
    installed_cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def apply(kubenas: Cluster, name: str, **spec: Any) -> None:
    """A search among small networks on handwritten digits."""
    kubenas.kubectl("apply", WHERE, "--filename=-", stdin=json.dumps(digits(name, **spec)))


def shown(kubenas: Cluster, pod: str) -> dict[str, float]:
    """Steps of candidates by id, as a pod shows them; none as long as it does not."""
    try:
        text = kubenas.kubectl("get", f"--raw=/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics")
    except subprocess.CalledProcessError:
        return {}
    steps = (line.split() for line in text.splitlines() if line.startswith("kubenas_trial_step{"))
    return {labels.split('candidate="')[1].split('"')[0]: float(step) for labels, step in steps}


def kill(kubenas: Cluster, pod: str) -> None:
    """End a trial's pod and the operator's, both at once and without a word."""
    now = ("--grace-period=0", "--force", "--wait=false")
    kubenas.kubectl("delete", f"--namespace={OPERATOR_NAMESPACE}", "pods", "--all", *now)
    kubenas.kubectl("delete", WHERE, f"pod/{pod}", *now)


def wait_succeeded(kubenas: Cluster, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The status of an experiment that has ended well, and its trials."""
    kubenas.kubectl("wait", WHERE, "--for=condition=Succeeded", f"nas/{name}", "--timeout=600s")
    trials = get(kubenas, "nastrials", WHERE, f"--selector=kubenas.io/experiment={name}")["items"]
    return get(kubenas, f"nas/{name}", WHERE)["status"], sorted(trials, key=lambda one: int(one["spec"]["number"]))


def values(result: dict[str, Any]) -> dict[str, float]:
    return {metric["name"]: metric["value"] for metric in result["metrics"]}


def test_scores_of_a_batch_survive_its_pod(kubenas: Cluster) -> None:
    """What the first pod has shown is kept, and the second one scores the rest; the best is trained."""
    stages = [
        {
            "name": "score",
            "evaluation": {"method": "zero-cost"},
            "trials": {"max": 1, "candidatesPerTrial": 192},
            "keep": {"top": 1},
        },
        {"name": "train", "evaluation": {"epochs": 1}},
    ]
    apply(kubenas, "scored", stages=stages)
    until(lambda: len(shown(kubenas, "scored-0-1")) >= 8, 300)
    kill(kubenas, "scored-0-1")
    status, (scored, trained) = wait_succeeded(kubenas, "scored")
    assert scored["status"]["attempt"] == 2
    results = scored["status"]["results"]
    assert sorted(int(result["candidate"]) for result in results) == [*range(192)]
    assert {len(values(result)) for result in results} == {len(values(results[0]))}
    assert {"az_expressivity", "az_progressivity", "az_trainability", "az_complexity", "vkdnw"} <= values(
        results[0]
    ).keys()
    architectures = [candidate["architecture"] for candidate in scored["spec"]["candidates"]]
    assert trained["spec"]["candidates"][0]["architecture"] in architectures
    assert status["best"]["trial"] == "scored-1"


def test_a_supernet_goes_on_from_its_checkpoint(kubenas: Cluster) -> None:
    """Killed after an epoch, it trains the others, and judges what is trained from its weights."""
    stages = [
        {
            "name": "shared",
            "evaluation": {"method": "supernet", "rule": "single-path", "epochs": EPOCHS},
            "trials": {"max": 1, "candidatesPerTrial": 4},
            "keep": {"top": 1},
        },
        {"name": "train", "evaluation": {"epochs": 1, "inherit": True}},
    ]
    with shared_claim(kubenas, NAMESPACE) as claim:
        apply(kubenas, "shared", stages=stages, storage={"volumeClaim": claim})
        # A checkpoint is written before the next epoch.
        until(lambda: shown(kubenas, "shared-0-1").get("0", 0) >= 2, 300)
        kill(kubenas, "shared-0-1")
        until(lambda: "the supernet goes on from epoch" in kubenas.kubectl("logs", WHERE, "shared-0-2", check=False))
        status, (supernet, judged, trained) = wait_succeeded(kubenas, "shared")
    assert (supernet["spec"]["stage"], supernet["status"]["attempt"]) == ("shared-supernet", 2)
    assert supernet["status"]["results"][0]["step"] == EPOCHS
    assert {judged["spec"]["supernet"], trained["spec"]["supernet"]} == {"shared-0/0.safetensors"}
    accuracies = {one["candidate"]: values(one)["accuracy"] for one in judged["status"]["results"]}
    best = max(accuracies, key=lambda candidate: accuracies[candidate])
    of_best = next(one for one in judged["spec"]["candidates"] if one["id"] == best)
    assert trained["spec"]["candidates"][0]["architecture"] == of_best["architecture"]
    assert status["best"]["trial"] == "shared-2"


def test_trials_are_stopped_at_a_rung_that_prometheus_has_read(kubenas: Cluster) -> None:
    """While they run: their last values are kept, and their pods end."""
    apply(
        kubenas,
        "stopped",
        evaluation={"epochs": STOPPED_EPOCHS},
        fidelity={"scheduler": "one-epoch", "top": 1},
        trials={"max": 3, "parallelism": 2},
        metrics={"source": "Prometheus", "interval": "1s"},
    )
    status, trials = wait_succeeded(kubenas, "stopped")
    stopped = [trial for trial in trials if trial["status"]["phase"] == "Pruned"]
    assert 1 <= len(stopped) < len(trials)
    assert status["best"]["trial"] not in {trial["metadata"]["name"] for trial in stopped}
    for trial in stopped:
        (finished,) = [one for one in trial["status"]["conditions"] if one["type"] == "Finished"]
        assert finished["reason"] == "StoppedEarly"
        (result,) = trial["status"]["results"]
        assert result["source"] == "Prometheus"
        assert 1 <= result["step"] < STOPPED_EPOCHS
        assert any(point["step"] == 1 for point in trial["status"]["curve"])
    until(lambda: get(kubenas, "pods", WHERE, "--selector=kubenas.io/experiment=stopped")["items"] == [])
