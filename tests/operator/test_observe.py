"""What is read of pods, and what becomes of trials whose pods go, in whatever order that is shown."""

from __future__ import annotations

import copy
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.cluster.devices import allocated, devices
from kubenas.cluster.known_pods import KnownPods
from kubenas.cluster.observe import attempt_of
from kubenas.cluster.store import Store
from kubenas.experiment.plan import plan
from kubenas.experiment.scheduled import scheduled
from kubenas.experiment.state import AttemptPhase, Readings, Waiting
from tests.operator import endings
from tests.operator.hostile import owner
from tests.operator.test_store import KEY, document

if TYPE_CHECKING:
    from kubenas.experiment.plan import Observed
    from tests.operator.api import Object

UID = "one"


def pod(status: Object | None = None, version: int = 20, deleted: bool = False, **spec: Any) -> Object:
    """The first pod of trial `nas-0`."""
    metadata: dict[str, Any] = {
        "name": "nas-0-1",
        "namespace": "default",
        "uid": "pod",
        "resourceVersion": str(version),
        "creationTimestamp": endings.moment(60),
        "labels": {"kubenas.io/experiment": "nas", "kubenas.io/experiment-uid": UID, "kubenas.io/trial": "nas-0"},
        "ownerReferences": [owner("NASTrial", "nas-0", "trial")],
    }
    if deleted:
        metadata["deletionTimestamp"] = endings.moment()
    spec = {"containers": [{"name": "trainer"}], **spec}
    return {"kind": "Pod", "metadata": metadata, "spec": spec, "status": status or {}}


def status(
    phase: str, trainer: Object, sidecar: Object | None = None, init: Object | None = None, **rest: Any
) -> Object:
    """Of a pod whose containers are in these states; the sidecar is listed first, as by name."""
    containers = [{"name": "istio-proxy", "state": sidecar}] if sidecar else []
    containers.append({"name": "trainer", "state": trainer})
    made = {"phase": phase, "containerStatuses": containers, **rest}
    return made | ({"initContainerStatuses": [{"name": "prepare", "state": init}]} if init else {})


RUNS = {"running": {"startedAt": endings.moment(30)}}
DONE = {"terminated": {"exitCode": 0, "message": endings.results(accuracy=0.5), "startedAt": endings.moment(30)}}
DONE["terminated"]["finishedAt"] = endings.moment(5)
BROKEN = {"terminated": {**DONE["terminated"], "exitCode": 1, "message": "boom"}}
STARTS = {"waiting": {"reason": "PodInitializing"}}


def test_a_pod_that_a_gate_holds_is_queued_since_it_was_made() -> None:
    """The apiserver gives the condition of a pod with gates no time."""
    gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "blocked"}
    gates = [{"name": "kueue.x-k8s.io/admission"}]
    for time in ({}, {"lastTransitionTime": None}):
        seen = attempt_of(pod({"phase": "Pending", "conditions": [gated | time]}, schedulingGates=gates))
        assert seen.waiting == Waiting("Queued", "blocked", seen.created)
    # The condition stays until the scheduler has looked at a pod that was admitted.
    admitted = attempt_of(pod({"phase": "Pending", "conditions": [gated]})).waiting
    assert admitted is not None
    assert admitted.reason == "Unschedulable"


def test_the_trainers_end_is_the_attempts() -> None:
    seen = attempt_of(pod(status("Running", DONE, sidecar=RUNS)))
    assert (seen.phase, seen.exit_code, seen.lingers) == (AttemptPhase.ENDED, 0, True)
    assert seen.ended is not None
    over = attempt_of(pod(status("Succeeded", DONE, sidecar=DONE)))
    assert (over.phase, over.lingers) == (AttemptPhase.ENDED, False)
    for sidecar in (None, DONE):  # what a kubelet says for a moment before the pod's phase
        ending = attempt_of(pod(status("Running", BROKEN, sidecar=sidecar)))
        assert (ending.phase, ending.exit_code, ending.lingers) == (AttemptPhase.ENDED, 1, False)
    failed_beside = attempt_of(pod(status("Failed", DONE, sidecar=BROKEN)))
    assert (failed_beside.exit_code, failed_beside.fault) == (0, None)


def test_a_sidecars_end_is_not_the_attempts() -> None:
    for other in (DONE, BROKEN, {"waiting": {"reason": "CrashLoopBackOff"}}, RUNS):
        seen = attempt_of(pod(status("Running", RUNS, sidecar=other)))
        assert (seen.phase, seen.exit_code, seen.fault) == (AttemptPhase.RUNNING, None, None)
    native = attempt_of(pod(status("Pending", STARTS, init=RUNS)))
    assert (native.phase, native.started, native.fault) == (AttemptPhase.WAITING, None, None)


@pytest.mark.parametrize(
    ("shown", "reason", "message"),
    [
        pytest.param(
            status("Pending", STARTS, init={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}),
            "ImagePullFailed",
            "init container prepare: no such image",
            id="image of an init container",
        ),
        pytest.param(
            status("Failed", STARTS, init=BROKEN),
            "InitContainerFailed",
            "init container prepare exited with 1: boom",
            id="init container",
        ),
        pytest.param(
            status("Failed", BROKEN, reason="Evicted", message="Usage of EmptyDir volume exceeds the limit 1Gi"),
            "Evicted",
            "exceeds the limit 1Gi",
            id="evicted for its own limits",
        ),
        pytest.param(
            status("Succeeded", {"terminated": {**DONE["terminated"], "reason": "OOMKilled"}}),
            "OutOfMemory",
            "resources.limits.memory",
            id="OOMKilled with exit code 0",
        ),
    ],
)
def test_what_only_the_cluster_knows_of_a_failure(shown: Object, reason: str, message: str) -> None:
    seen = attempt_of(pod(shown))
    assert seen.fault is not None
    assert seen.fault.reason == reason
    assert message in seen.fault.message


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Terminated", "NodeShutdown"),
        ("NodeShutdown", "NodeShutdown"),
        ("Shutdown", "NodeShutdown"),
        ("NodeLost", "NodeLost"),
        ("Preempting", "Preempting"),
    ],
)
@pytest.mark.parametrize("trainer", [{}, BROKEN], ids=["container unknown", "container ended"])
def test_a_node_that_shuts_down_is_a_disruption_without_a_condition(said: str, reason: str, trainer: Object) -> None:
    seen = attempt_of(pod(status("Failed", trainer, reason=said, message="imminent node shutdown")))
    assert seen.disruption is not None
    assert (seen.disruption.reason, seen.fault) == (reason, None)


@pytest.mark.parametrize("reason", ["Unknown", "ContainerStatusUnknown"])
def test_a_container_whose_end_nobody_knows_was_lost_with_its_node(reason: str) -> None:
    lost = {"terminated": {"exitCode": 255, "reason": reason, "message": "no task"}}
    seen = attempt_of(pod(status("Failed", lost)))
    assert seen.disruption is not None
    assert (seen.phase, seen.disruption.reason, seen.fault) == (AttemptPhase.ENDED, "ContainerLost", None)


def test_what_a_kubelet_says_of_a_running_pod_is_no_end() -> None:
    seen = attempt_of(pod(status("Running", RUNS, reason="NodeLost")))
    assert (seen.phase, seen.fault, seen.disruption) == (AttemptPhase.RUNNING, None, None)


# Lost nodes

TAINTED = endings.disrupted("DeletionByTaintManager", "node lost")
COLLECTED = endings.disrupted("DeletionByPodGC", "node lost")
# What the apiserver shows of a pod on a lost node, one after the other; the last is its deletion.
LOST = [
    pod(status("Running", RUNS) | TAINTED, 21),
    pod(status("Running", RUNS) | TAINTED, 22, deleted=True),
    pod(status("Failed", RUNS) | COLLECTED, 23, deleted=True),
]
# Collected at once, for example as its node object is gone.
COLLECTED_AT_ONCE = [pod(status("Failed", RUNS) | COLLECTED, 21)]


def trial_document(number: int, version: int, **state: Any) -> Object:
    architecture = {"0-1": "none", "0-2": "none", "0-3": "nor_conv_3x3", "1-2": "none", "1-3": "none", "2-3": "none"}
    labels = {"kubenas.io/experiment": "nas", "kubenas.io/experiment-uid": UID}
    candidate = {"id": "0", "name": "cell", "architecture": architecture, "epochs": 3}
    return {
        "kind": "NASTrial",
        "metadata": {
            "name": f"nas-{number}",
            "namespace": "default",
            "uid": "trial",
            "resourceVersion": str(version),
            "labels": labels,
            "ownerReferences": [owner("NASExperiment", "nas", UID)],
        },
        "spec": {"number": number, "resultsSeen": 0, "candidates": [candidate]},
        "status": state,
    }


async def store_of(trial: Object, *pods: Object) -> Store:
    store = Store(KEY)
    store.put_experiment(document(UID, 1, trials={"max": 1}))
    await store.read()
    store.put_trial(trial)
    for one in pods:
        store.put_pod(one)
    store.readings = Readings(source="Pod")
    return store


def seen_in(store: Store) -> Observed:
    store.settle()
    observed = store.observed()
    assert observed is not None
    return observed


def reconcile(store: Store, versions: list[int]) -> None:
    """Plan, and write what becomes of the trial."""
    observed = seen_in(store)
    for write in plan(observed, 2e9).write:
        store.put_trial(trial_document(0, versions.pop(0), **write.status.dump()))


def failures_and_attempt(store: Store) -> tuple[int, int]:
    observed = seen_in(store)
    status = observed.ledger.unfinished[0].status
    return status.failures, status.attempt


@pytest.mark.parametrize("events", [LOST, COLLECTED_AT_ONCE], ids=["deleted, then collected", "collected at once"])
@pytest.mark.parametrize("noted", [True, False], ids=["noted as running", "not noted"])
async def test_a_lost_node_is_no_failure_however_it_is_shown(events: list[Object], noted: bool) -> None:
    """Any of the events may come alone or be left out, be reconciled or not, and the operator restarted anywhere."""
    state = {"phase": "Running", "pod": "nas-0-1", "startTime": "2026-01-01T00:00:00.000000Z"} if noted else {}
    runs = pod(status("Running", RUNS), 20)
    for count in range(len(events) + 1):
        for shown in combinations(events, count):
            for reconciles in (False, True):
                store, versions = await store_of(trial_document(0, 10, **state), runs), list(range(11, 40))
                for event in shown:
                    store.put_pod(event)
                    if reconciles:
                        reconcile(store, versions)
                last = copy.deepcopy(events[-1])
                last["metadata"]["resourceVersion"] = "30"
                store.drop_pod("nas-0-1", 30, last)
                reconcile(store, versions)
                assert failures_and_attempt(store) == (0, 2), (count, shown, reconciles)
                assert not seen_in(store).attempts
    # Nobody looked at all, or the watch has lost the event: a list does not have the pod any more.
    if noted:
        unseen = await store_of(trial_document(0, 10, **state))
        reconcile(unseen, [11])
        assert failures_and_attempt(unseen) == (0, 2)


async def test_a_pod_deleted_by_hand_is_one() -> None:
    state = {"phase": "Running", "pod": "nas-0-1"}
    store = await store_of(trial_document(0, 10, **state), pod(status("Running", RUNS), 20))
    store.drop_pod("nas-0-1", 30, pod(status("Running", RUNS), 30))
    reconcile(store, [11])
    assert failures_and_attempt(store) == (1, 2)


async def test_a_pod_deleted_before_it_began_is_made_again() -> None:
    store = await store_of(trial_document(0, 10), pod({}, 20))
    store.drop_pod("nas-0-1", 30, pod({}, 30))
    observed = seen_in(store)
    assert [trial.attempt_name for trial in plan(observed, 2e9).start] == ["nas-0-1"]


# Devices


def asks(**amounts: str) -> Object:
    return {"resources": {"limits": {name.replace("__", "/"): amount for name, amount in amounts.items()}}}


@pytest.mark.parametrize(
    ("spec", "counted"),
    [
        ({"containers": [{"resources": {"limits": {"nvidia.com/gpu": "2", "cpu": "8"}}}]}, {"nvidia.com/gpu": 2}),
        ({"containers": [{"resources": {"limits": {"nvidia.com/gpu.shared": "1"}}}]}, {"nvidia.com/gpu.shared": 1}),
        ({"containers": [{"resources": {"limits": {"nvidia.com/mig-1g.5gb": "3"}}}]}, {"nvidia.com/mig-1g.5gb": 3}),
        ({"containers": [{"resources": {"requests": {"habana.ai/gaudi": "8"}}}]}, {"habana.ai/gaudi": 8}),
        ({"containers": [{"resources": {"limits": {"requests.kubernetes.io/x": "8", "hugepages-2Mi": "4"}}}]}, {}),
        ({"containers": [{}], "resourceClaims": [{"name": "gpu"}, {"name": "second"}]}, {"gpu": 1, "second": 1}),
        ({"containers": [asks(a__b="1k"), asks(a__b="500m")]}, {"a/b": 1000.5}),
        ({"containers": [asks(a__b="many"), asks(a__b="-1"), asks(a__b="1e999999999")]}, {"a/b": 1e6}),
        ({"containers": [asks(a__b="1")], "initContainers": [asks(a__b="4")]}, {"a/b": 4}),
        ({"containers": [asks(a__b="3")], "initContainers": [asks(a__b="2")]}, {"a/b": 3}),
        (
            {
                "containers": [asks(a__b="1")],
                "initContainers": [asks(a__b="1"), asks(a__b="2") | {"restartPolicy": "Always"}, asks(a__b="3")],
            },
            {"a/b": 5},
        ),
        (
            {"containers": [asks(a__b="2")], "initContainers": [asks(a__b="1") | {"restartPolicy": "Always"}]},
            {"a/b": 3},
        ),
    ],
)
def test_devices_are_counted_as_the_scheduler_does(spec: Object, counted: dict[str, float]) -> None:
    assert devices(spec) == counted


@given(st.text() | st.from_regex(r"[+-]?[0-9.]+(e[+-]?[0-9]{1,12}|[numkMGTPE]i?)?", fullmatch=True))
def test_no_quantity_raises(text: str) -> None:
    assert 0 <= devices({"containers": [asks(a__b=text)]})["a/b"] <= 1e6


def test_a_claim_counts_for_as_many_devices_as_it_holds() -> None:
    template = {"name": "gpus", "resourceClaimTemplateName": "two-gpus"}
    own = {"name": "nic", "resourceClaimName": "shared-nic"}
    made = {"resourceClaimStatuses": [{"name": "gpus", "resourceClaimName": "nas-0-1-gpus-x"}]}
    seen = attempt_of(pod(made, nodeName="a", resourceClaims=[template, own]))
    assert seen.claims == {"gpus": "nas-0-1-gpus-x", "nic": "shared-nic"}
    pods = KnownPods()
    pods.put(seen)
    assert pods.unread_claims() == [seen]
    pods.put_claimed(seen, {"gpus": 2.0})
    assert pods.unread_claims() == []
    assert pods.attempts()["nas-0-1"].devices == {"gpus": 2.0, "nic": 1.0}


def test_devices_of_a_claim_are_those_that_are_kept_from_others() -> None:
    results = [{"device": "gpu-0"}, {"device": "gpu-1"}, {"device": "gpu-1", "adminAccess": True}]
    assert allocated({"status": {"allocation": {"devices": {"results": results}}}}) == 2
    assert allocated({"status": {}}) is None


def test_a_pod_whose_claim_nobody_made_waits_for_it() -> None:
    claim = {"name": "gpus", "resourceClaimTemplateName": "two-gpus"}
    seen = attempt_of(pod({"phase": "Pending"}, resourceClaims=[claim]))
    assert seen.waiting is not None
    told = scheduled(None, [seen], 0)
    assert told.reason == "ClaimNotAllocated"
    assert "no ResourceClaim was made of ResourceClaimTemplate two-gpus" in told.message
    assert "quota for ResourceClaims" in told.message
    made = {"resourceClaimStatuses": [{"name": "gpus", "resourceClaimName": "x"}]}
    assert attempt_of(pod({"phase": "Pending", **made}, nodeName="a", resourceClaims=[claim])).waiting is None


@pytest.mark.parametrize(
    ("label", "counted"), [("spot", "spot"), ("UP", "default"), ("", "default"), ("a_b.", "default"), (None, "default")]
)
def test_a_label_that_is_no_price_class_counts_as_the_default(label: str | None, counted: str) -> None:
    """Whoever may change pods may write it, and it must not end what is counted."""
    document = pod({"phase": "Pending"})
    document["metadata"]["labels"] |= {} if label is None else {"kubenas.io/price-class": label}
    assert attempt_of(document).price_class == counted


GATED = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "gates hold it"}


@pytest.mark.parametrize("conditions", [[], [GATED]], ids=["at once", "after its queue"])
@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        (
            {"resourceClaims": [{"name": "gpus", "resourceClaimName": "shared"}]},
            "ClaimNotAllocated",
            "ResourceClaim shared",
        ),
        ({"schedulerName": "nobody"}, "Unschedulable", "the one that it names, nobody"),
    ],
)
def test_a_pod_that_no_scheduler_takes_up_is_told(
    conditions: list[Object], spec: Object, reason: str, words: str
) -> None:
    """A scheduler says nothing of what it passes over."""
    seen = attempt_of(pod({"phase": "Pending", "conditions": conditions}, **spec))
    assert seen.waiting is not None
    told = scheduled(None, [seen], 0)
    assert (told.reason, words in told.message) == (reason, True)
