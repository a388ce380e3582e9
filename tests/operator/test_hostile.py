"""What a tenant writes, whatever it is, neither ends the operator that others share nor gets into others' results."""

from __future__ import annotations

import random
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.cluster.conditions import until
from tests.cluster.fake_pods import drawn
from tests.operator import endings, hostile
from tests.operator.harness import Workspace, experiment

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.control_plane

THROWN = 500
TRIALS = 30


@pytest.fixture(autouse=True)
def _deep_objects() -> Iterator[None]:
    """To write and read objects nested as deep as the apiserver takes them."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(10 * hostile.DEPTH)
    yield
    sys.setrecursionlimit(before)


def test_a_pod_with_a_trials_label_alone_ends_no_operator(workspace: Workspace) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "labels": {"kubenas.io/trial": "x"}},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "x", "image": "pause"}]},
    }
    workspace.api.create("pods", pod)
    operator = workspace.operator().start().wait_ready()
    with workspace.control_plane.fake_pods():
        workspace.apply(experiment(trials={"max": 2}))
        workspace.wait_condition("Succeeded")
    assert operator.running
    assert workspace.api.get("pods", "x") is not None


def test_a_pod_made_beforehand_is_no_trials_pod(workspace: Workspace) -> None:
    """Its result is not taken, it is not deleted, and the experiment says who is in the way."""
    workspace.operator().start().wait_ready()
    workspace.apply(experiment(trials={"max": 1}, suspend=True))
    workspace.wait_condition("Suspended")
    uid = workspace.experiment()["metadata"]["uid"]
    forged = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "nas-0-1",
            "labels": {
                "kubenas.io/experiment": "nas",
                "kubenas.io/experiment-uid": uid,
                "kubenas.io/trial": "nas-0",
                "kubenas.io/attempt": "1",
            },
        },
        "spec": {"schedulerName": "nobody", "containers": [{"name": "trainer", "image": "x"}]},
    }
    workspace.api.create("pods", forged)
    workspace.set_pod("nas-0-1", endings.exited(0, endings.results(accuracy=1.0)))
    workspace.api.patch("nasexperiments", "nas", {"spec": {"suspend": False}})
    said = workspace.wait_condition("TrialsScheduled", status="False")
    assert said["reason"] == "PodRefused"
    assert "nas-0-1 is there already, and is not this experiment's" in said["message"]
    assert workspace.api.get("pods", "nas-0-1") is not None
    assert not workspace.trial("nas-0").get("status", {}).get("results")
    # Out of the way, the search goes on with a pod of its own.
    workspace.api.delete("pods", "nas-0-1")
    until(lambda: any(pod["metadata"].get("ownerReferences") for pod in workspace.pods()))
    workspace.set_pod("nas-0-1", endings.exited(0, endings.results(accuracy=0.5)))
    workspace.wait_condition("Succeeded")
    assert workspace.status()["best"]["value"] == 0.5


def test_an_experiment_nested_too_deep_is_rejected_and_said_so(workspace: Workspace) -> None:
    operator = workspace.operator().start().wait_ready()
    template = {"spec": {"affinity": hostile.nested(hostile.DEPTH)}}
    workspace.apply(experiment("deep", trialTemplate=template))
    said = workspace.wait_condition("Accepted", "deep", "False")
    assert "spec.trialTemplate.spec: is nested more than 100 levels deep" in said["message"]
    # What it lists at its start is read as well.
    operator.terminate()
    workspace.operator().start().wait_ready()
    with workspace.control_plane.fake_pods():
        workspace.apply(experiment(trials={"max": 1}))
        workspace.wait_condition("Succeeded")


def test_a_healthy_experiment_ends_beside_five_hundred_hostile_objects(workspace: Workspace) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    operator = workspace.operator().start().wait_ready()
    taken: Counter[str] = Counter()
    with workspace.control_plane.fake_pods(seconds=0.2):
        workspace.apply(experiment("healthy", trials={"max": TRIALS, "parallelism": 2}))
        victim = workspace.experiment("healthy")
        for index in range(THROWN):
            trials = workspace.trials("healthy") if index % 20 == 0 else []
            trial = rng.choice(trials) if trials else None
            kind = rng.choice(["pods", "pods", "nastrials", "nasexperiments"])
            if kind == "pods":
                document, status = hostile.pod(rng, index, victim, trial)
                taken[kind] += workspace.api.offer(kind, document, status)
            elif kind == "nastrials":
                taken[kind] += workspace.api.offer(kind, hostile.trial(rng, index, victim))
            else:
                taken[kind] += workspace.api.offer(kind, hostile.some_experiment(rng, index))
        assert min(taken.values()) > THROWN / 20, taken
        # A replica that starts now has to read them all at once.
        operator.terminate()
        operator = workspace.operator().start().wait_ready()
        workspace.wait_condition("Succeeded", "healthy")
        assert workspace.status("healthy")["counts"]["succeeded"] == TRIALS
        uid = victim["metadata"]["uid"]
        for trial in workspace.trials("healthy"):
            made = trial["metadata"]["name"] == f"healthy-{trial['spec']['number']}"
            if made and [owner["uid"] for owner in trial["metadata"]["ownerReferences"]] == [uid]:
                (result,) = trial["status"]["results"]
                value = drawn(trial["spec"]["candidates"][0]["architecture"])
                assert result["metrics"] == [{"name": "accuracy", "value": value}]
    assert operator.running
