"""What becomes of real pods when trials end, fail or are stopped: trainers of a few lines, so that it takes seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.charts import Release
from tests.cluster.cluster import Cluster
from tests.cluster.conditions import until
from tests.cluster.images import BASE
from tests.cluster.installed import OPERATOR_NAMESPACE, VALUES, get, search_namespace, shared_claim
from tests.cluster.test_cluster import pod
from tests.operator.harness import experiment

pytestmark = pytest.mark.node

NAMESPACE = "trials"
WHERE = f"--namespace={NAMESPACE}"
RESULT = """
import json, os
trial = json.loads(os.environ["KUBENAS_TRIAL"])
def finish(accuracy):
    results = [{"candidate": "0", "step": trial["candidates"][0]["epochs"], "metrics": {"accuracy": accuracy}}]
    with open("/dev/termination-log", "w") as file:
        json.dump({"results": results}, file)
"""
# Shows values for steps 1, 2, … by turns, each until it was read.
SHOWN = """
import http.server
EXPOSITION = '''# TYPE kubenas_trial_value gauge
kubenas_trial_value{{candidate="0",metric="accuracy"}} {}
# TYPE kubenas_trial_step gauge
kubenas_trial_step{{candidate="0"}} {}
'''
def show(*accuracies):
    for step, accuracy in enumerate(accuracies, start=1):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(EXPOSITION.format(accuracy, step).encode())
            def log_message(self, *_):
                pass
        with http.server.HTTPServer(("", 8080), Handler) as server:
            server.handle_request()
"""
SLEEP = "import time; time.sleep(3600)"


@pytest.fixture(scope="module")
def kubenas(installed_cluster: Cluster) -> Iterator[Cluster]:
    search_namespace(installed_cluster, NAMESPACE)
    yield installed_cluster
    installed_cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def apply(kubenas: Cluster, name: str, *script: str, **spec: Any) -> None:
    """Search with a trainer of a few lines."""
    trainer = {
        "name": "trainer",
        "image": BASE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", "\n".join(script)],
        "resources": {"limits": {"memory": "64Mi"}},
    }
    template = {"spec": {"terminationGracePeriodSeconds": 1, "containers": [trainer]}}
    document = experiment(name, **{"search": {"algorithm": "random", "seed": 1}, "trialTemplate": template, **spec})
    kubenas.kubectl("apply", WHERE, "--filename=-", stdin=json.dumps(document))


def wait(kubenas: Cluster, name: str, condition: str) -> dict[str, Any]:
    """Wait for a condition of an experiment; it."""
    kubenas.kubectl("wait", WHERE, f"--for=condition={condition}", f"nas/{name}", "--timeout=300s")
    conditions = get(kubenas, f"nas/{name}", WHERE)["status"]["conditions"]
    return next(found for found in conditions if found["type"] == condition)


def pods(kubenas: Cluster, name: str) -> dict[str, str]:
    """Phases of an experiment's pods."""
    found = get(kubenas, "pods", WHERE, f"--selector=kubenas.io/experiment={name}")["items"]
    return {pod["metadata"]["name"]: pod["status"]["phase"] for pod in found}


def trial_status(kubenas: Cluster, name: str) -> dict[str, Any]:
    status: dict[str, Any] = get(kubenas, f"nastrial/{name}", WHERE)["status"]
    return status


def test_what_runs_goes_when_the_search_fails_is_suspended_or_out_of_time(kubenas: Cluster) -> None:
    fails = ("if trial['trial'].endswith('-1'): raise SystemExit('out of luck')", SLEEP)
    few = {"max": 9, "parallelism": 1}
    apply(kubenas, "suspended", SLEEP, trials=few)
    apply(kubenas, "late", SLEEP, trials=few)
    for name in ("suspended", "late"):
        until(lambda name=name: pods(kubenas, name) == {f"{name}-0-1": "Running"})  # type: ignore[misc]
    apply(kubenas, "failing", RESULT, *fails, trials={"max": 9, "parallelism": 2, "retries": 0, "maxFailures": 0})
    for name, change in (("suspended", {"suspend": True}), ("late", {"budget": {"wallClock": "1s"}})):
        kubenas.kubectl("patch", WHERE, f"nas/{name}", "--type=merge", f"--patch={json.dumps({'spec': change})}")

    assert wait(kubenas, "failing", "Failed")["reason"] == "MaxFailuresExceeded"
    assert wait(kubenas, "late", "Failed")["reason"] == "BudgetExhausted"
    wait(kubenas, "suspended", "Suspended")
    until(lambda: pods(kubenas, "failing") == {"failing-1-1": "Failed"})
    assert "out of luck" in kubenas.kubectl("logs", WHERE, "failing-1-1"), "the pod is kept for its log"
    until(lambda: pods(kubenas, "late") == pods(kubenas, "suspended") == {})
    assert trial_status(kubenas, "failing-0")["phase"] == trial_status(kubenas, "late-0")["phase"] == "Pruned"
    assert trial_status(kubenas, "suspended-0")["failures"] == 0


def test_curves_of_attempts_are_not_mixed(kubenas: Cluster) -> None:
    """The first fails after its third step, the second has other values and gets as far as the second."""
    first = "if trial['attempt'] == 1: show(0.1, 0.2, 0.3); raise SystemExit('out of luck')"
    apply(kubenas, "curves", RESULT, SHOWN, first, "show(0.5, 0.6); finish(0.9)", trials={"max": 1, "retries": 1})
    wait(kubenas, "curves", "Succeeded")
    status = trial_status(kubenas, "curves-0")
    assert (status["attempt"], status["failures"], status["lastFailure"]["reason"]) == (2, 1, "NonZeroExit")
    curve = {point["step"]: point["metrics"][0]["value"] for point in status["curve"]}
    assert curve == {1: 0.5, 2: 0.6}
    (result,) = status["results"]
    assert (result["source"], result["metrics"]) == ("TerminationMessage", [{"name": "accuracy", "value": 0.9}])


# Each attempt trains a step, from the checkpoint of the one before it; three are a whole training.
STEPS = """
import pathlib, time
file = pathlib.Path(os.environ["KUBENAS_CHECKPOINT_DIR"]) / "steps"
file.parent.mkdir(parents=True, exist_ok=True)
steps = 1 + (int(file.read_text()) if file.exists() else 0)
file.write_text(str(steps))
if steps < 3:
    time.sleep(3600)
finish(steps / 10)
"""


def test_a_trial_whose_spot_node_is_drained_twice_goes_on_on_demand_from_its_checkpoint(kubenas: Cluster) -> None:
    capacity = "karpenter.sh/capacity-type"
    for node, kind in (("node-1", "spot"), ("node-2", "on-demand")):
        kubenas.kubectl("label", "node", node, f"{capacity}={kind}")
    trainer = {
        "name": "trainer",
        "image": BASE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", RESULT + STEPS],
    }
    pod_spec = {"terminationGracePeriodSeconds": 1, "containers": [trainer], "nodeSelector": {capacity: "spot"}}
    on_demand = {"nodeSelector": {capacity: "on-demand"}}
    with shared_claim(kubenas, NAMESPACE) as claim:
        apply(
            kubenas,
            "spot",
            trials={"max": 1, "retries": 0},
            storage={"volumeClaim": claim},
            budget={"cost": 100, "prices": {"spot": 1, "on-demand": 3}},
            trialTemplate={
                "priceClass": "spot",
                "spec": pod_spec,
                "alternatives": [{"afterDisruptions": 2, "priceClass": "on-demand", "spec": on_demand}],
            },
        )
        for attempt in ("1", "2"):
            until(lambda n=attempt: [f.read_text() for f in (kubenas.folder / claim).glob("*/*/steps")] == [n])  # type: ignore[misc]
            assert get(kubenas, f"pod/spot-0-{attempt}", WHERE)["spec"]["nodeName"] == "node-1"
            kubenas.kubectl(
                "drain",
                "node-1",
                "--pod-selector=kubenas.io/experiment=spot",
                "--delete-emptydir-data",
                "--timeout=60s",
            )
            kubenas.kubectl("uncordon", "node-1")
        wait(kubenas, "spot", "Succeeded")
    status = trial_status(kubenas, "spot-0")
    assert (status["node"], status["priceClass"]) == ("node-2", "on-demand")
    assert (status["attempt"], status["disruptions"], status["failures"]) == (3, 2, 0)
    assert status["results"][0]["metrics"] == [{"name": "accuracy", "value": 0.3}], "it went on from its checkpoint"
    assert {one["priceClass"] for one in status["classSeconds"]} >= {"spot"}


SIDECAR = """
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: mesh}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %(namespace)s}}
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
  matchConditions:
  - {name: meshed, expression: "object.metadata.labels['kubenas.io/experiment'] == 'meshed'"}
  failurePolicy: Fail
  reinvocationPolicy: Never
  mutations:
  - patchType: JSONPatch
    jsonPatch:
      expression: >-
        [JSONPatch{op: "add", path: "/spec/containers/0", value: Object.spec.containers{
          name: "proxy", image: "%(image)s", imagePullPolicy: "IfNotPresent", command: ["sleep", "infinity"],
          securityContext: Object.spec.containers.securityContext{allowPrivilegeEscalation: false,
            capabilities: Object.spec.containers.securityContext.capabilities{drop: ["ALL"]}}}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: mesh}
spec: {policyName: mesh}
"""


def injected(kubenas: Cluster) -> bool:
    """Whether the policy has taken effect, which takes a moment."""
    document = pod("probe", "true")
    document["metadata"]["labels"] = {"kubenas.io/experiment": "meshed"}
    create = ("create", WHERE, "--dry-run=server", "--output=jsonpath={.spec.containers[*].name}", "--filename=-")
    return kubenas.kubectl(*create, stdin=json.dumps(document)) == "proxy main"


def test_an_injected_sidecar_that_never_ends_holds_no_trial(kubenas: Cluster) -> None:
    policy = SIDECAR % {"namespace": NAMESPACE, "image": BASE}
    kubenas.kubectl("apply", "--filename=-", stdin=policy)
    try:
        until(lambda: injected(kubenas))
        apply(kubenas, "meshed", RESULT, "finish(0.9)", trials={"max": 2, "parallelism": 2})
        wait(kubenas, "meshed", "Succeeded")
        until(lambda: pods(kubenas, "meshed") == {})
    finally:
        kubenas.kubectl("delete", "--filename=-", stdin=policy)
    assert {trial_status(kubenas, f"meshed-{number}")["phase"] for number in range(2)} == {"Succeeded"}


UPGRADED_TRIALS = 6
# All trials but the first run until there is a Service of this name.
PATIENT = """
import socket, time
while socket.gethostname() != "upgraded-0-1":
    try:
        socket.gethostbyname("go.trials.svc.cluster.local")
        break
    except OSError:
        time.sleep(0.2)
finish(0.5)
"""


def trials(kubenas: Cluster, phase: str | None = None) -> dict[str, dict[str, Any]]:
    """Trials of the upgraded search by name, all or those of a phase."""
    found = get(kubenas, "nastrials", WHERE, "--selector=kubenas.io/experiment=upgraded")["items"]
    return {
        one["metadata"]["name"]: one for one in found if phase is None or one.get("status", {}).get("phase") == phase
    }


def operators(kubenas: Cluster) -> set[str]:
    found = get(
        kubenas, "pods", f"--namespace={OPERATOR_NAMESPACE}", "--selector=app.kubernetes.io/name=kubenas-operator"
    )
    return {one["metadata"]["name"] for one in found["items"] if "deletionTimestamp" not in one["metadata"]}


def test_a_search_goes_on_while_an_upgrade_replaces_its_operators(kubenas: Cluster) -> None:
    """By Helm: both operators, and nothing else."""
    apply(kubenas, "upgraded", RESULT, PATIENT, trials={"max": UPGRADED_TRIALS, "parallelism": 2})
    until(lambda: (len(trials(kubenas, "Succeeded")), len(trials(kubenas, "Running"))) == (1, 2))
    ended, before = trials(kubenas, "Succeeded"), operators(kubenas)

    upgrade = "--set-string=podAnnotations.example\\.com/upgraded=yes"
    Release(kubenas, OPERATOR_NAMESPACE).upgrade(f"--values={VALUES}", upgrade, "--wait", "--timeout=5m")
    until(lambda: len(operators(kubenas)) == 2)
    assert not before & operators(kubenas)
    assert trials(kubenas, "Succeeded").keys() == ended.keys() == {"upgraded-0"}

    kubenas.kubectl("create", "service", "clusterip", "go", WHERE, "--tcp=80")
    wait(kubenas, "upgraded", "Succeeded")
    found = trials(kubenas)
    assert found.keys() == {f"upgraded-{number}" for number in range(UPGRADED_TRIALS)}
    assert {name: found[name]["status"] for name in ended} == {name: one["status"] for name, one in ended.items()}
    assert {one["status"]["phase"] for one in found.values()} == {"Succeeded"}
    assert {name: one["status"]["pod"] for name, one in found.items()} == {name: f"{name}-1" for name in found}
