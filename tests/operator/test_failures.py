"""Each way in which a trial's pod can fail, told by the node's words, and the reason that the trial ends with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conditions import until
from tests.operator import endings
from tests.operator.harness import Operator, Workspace, experiment

if TYPE_CHECKING:
    from tests.operator.api import Object

pytestmark = [pytest.mark.control_plane, pytest.mark.usefixtures("operator")]

RESULT = endings.exited(0, endings.results(accuracy=0.5))


def one_trial(**trials: Any) -> Object:
    return experiment(trials={"max": 1, "retries": 0, **trials})


def failed(status: Object) -> bool:
    return bool(status.get("phase") == "Failed")


def check_failed(workspace: Workspace, reason: str, message: str) -> Object:
    """Wait until trial `nas-0` has failed, and check what it says; its status."""
    status = workspace.wait_trial("nas-0", failed)
    (finished,) = status["conditions"]
    assert (finished["type"], finished["status"], finished["reason"]) == ("Finished", "True", reason)
    assert message in finished["message"]
    assert status["lastFailure"]["reason"] == reason
    assert message in status["lastFailure"]["message"]
    assert "results" not in status or not status["results"]
    return status


@pytest.mark.parametrize(
    ("ending", "reason", "message"),
    [
        pytest.param(
            endings.waiting("ImagePullBackOff", 'Back-off pulling image "absent"'),
            "ImagePullFailed",
            'Back-off pulling image "absent"',
            id="image-not-pulled",
        ),
        pytest.param(
            endings.waiting("CreateContainerConfigError", 'secret "key" not found'),
            "ContainerNotStarted",
            'secret "key" not found',
            id="container-not-started",
        ),
        pytest.param(endings.exited(137, reason="OOMKilled"), "OutOfMemory", "resources.limits.memory", id="memory"),
        pytest.param(
            endings.exited(1, "Traceback (most recent call last):\nValueError: no such data set"),
            "NonZeroExit",
            "exited with 1: Traceback (most recent call last):\nValueError: no such data set",
            id="non-zero-exit",
        ),
        pytest.param(
            endings.exited(0, reason="OOMKilled"), "OutOfMemory", "resources.limits.memory", id="memory-with-exit-0"
        ),
        pytest.param(
            endings.exited(137) | {"reason": "Evicted", "message": 'Usage of EmptyDir volume "tmp" exceeds the limit'},
            "Evicted",
            "exceeds the limit",
            id="evicted-for-its-own-limits",
        ),
        pytest.param(endings.exited(137), "NonZeroExit", "exited with 137 (SIGKILL)", id="killed-by-the-system"),
        pytest.param(endings.exited(0), "NoResult", "left no result", id="no-result"),
        pytest.param(
            endings.exited(1, '{"level": "info"}\n{"level": "error", "message": "\x1b[31mno such file\x1b[0m"}'),
            "NonZeroExit",
            '"message": "no such file"}',
            id="log-in-json",
        ),
        pytest.param(endings.exited(0, '{"results": ['), "InvalidResult", "is not JSON", id="invalid-json"),
        pytest.param(
            endings.exited(0, '{"results": [{"candidate": "7", "step": 3, "metrics": {"accuracy": 1}}]}'),
            "InvalidResult",
            "no result of candidate 0",
            id="another-candidate",
        ),
        pytest.param(
            endings.exited(1, json.dumps({"error": {"reason": "DataMissing", "message": "no file digits.csv"}})),
            "DataMissing",
            "no file digits.csv",
            id="error-of-the-trainer",
        ),
        pytest.param(
            {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "no GPU is left"},
            "PodRejected",
            "UnexpectedAdmissionError: no GPU is left",
            id="rejected-by-the-node",
        ),
    ],
)
def test_a_trial_fails_with_the_reason(ending: Object, reason: str, message: str, workspace: Workspace) -> None:
    workspace.apply(one_trial())
    workspace.set_pod("nas-0-1", ending)
    status = check_failed(workspace, reason, message)
    assert (status["attempt"], status["failures"], status["pod"]) == (1, 1, "nas-0-1")
    end = workspace.wait_condition("Failed")
    assert end["reason"] == "NoTrialSucceeded"
    assert f"{reason}: nas-0: " in end["message"]
    if ending["phase"] == "Failed" or ending["phase"] == "Succeeded":
        assert workspace.pods(), "the pod is kept for its log"
    else:
        until(lambda: not workspace.pods())


def test_a_result_without_the_objective_is_not_tried_again(workspace: Workspace) -> None:
    workspace.apply(one_trial(retries=3))
    workspace.set_pod("nas-0-1", endings.exited(0, endings.results(loss=0.1)))
    status = check_failed(workspace, "MetricMissing", "no accuracy, an objective; it reported loss")
    assert status["attempt"] == 1


def test_a_candidate_that_fails_is_named_beside_the_results_of_the_others(workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 2, "parallelism": 1, "retries": 0, "candidatesPerTrial": 2}))
    failure = {"candidate": "0", "error": {"reason": "OutOfMemory", "message": "2 GiB"}}
    message = json.dumps({"metrics": ["accuracy"], "results": [failure, ["1", 3, [0.5]]]})
    workspace.set_pod("nas-0-1", endings.exited(0, message))
    status = workspace.wait_trial("nas-0", lambda status: status.get("phase") == "Succeeded")
    assert status["failedCandidates"] == [{"candidate": "0", "reason": "OutOfMemory", "message": "2 GiB"}]
    (result,) = status["results"]
    assert (result["candidate"], result["metrics"]) == ("1", [{"name": "accuracy", "value": 0.5}])
    assert (status["value"], status.get("failures", 0)) == (0.5, 0)


def test_a_pod_that_runs_too_long_is_stopped(workspace: Workspace) -> None:
    workspace.apply(one_trial(timeout="1s"))
    workspace.set_pod("nas-0-1", endings.running())
    check_failed(workspace, "Timeout", "trials.timeout (1 s)")
    until(lambda: not workspace.pods())


def test_a_pod_deleted_by_hand_is_a_failure_that_says_so(workspace: Workspace) -> None:
    workspace.apply(one_trial())
    workspace.set_pod("nas-0-1", endings.running())
    workspace.wait_trial("nas-0", lambda status: bool(status.get("phase") == "Running"))
    workspace.api.delete("pods", "nas-0-1")
    check_failed(workspace, "PodDeleted", "the pod was deleted while the trial ran")


def test_a_pod_deleted_before_it_was_seen_to_wait_is_made_again(workspace: Workspace) -> None:
    """Its deletion tells nothing of the trial: it had not begun."""
    workspace.apply(one_trial())
    workspace.wait_pod("nas-0-1")
    workspace.api.delete("pods", "nas-0-1")
    until(lambda: workspace.created("pods") == ["nas-0-1", "nas-0-1"])
    assert workspace.trial("nas-0").get("status", {}).get("failures", 0) == 0


@pytest.mark.parametrize(
    ("reason", "written"),
    [("DeletionByTaintManager", "NodeLost"), ("PreemptionByScheduler", "PreemptionByScheduler")],
)
def test_a_disrupted_pod_is_replaced_and_not_counted(reason: str, written: str, workspace: Workspace) -> None:
    workspace.apply(one_trial())
    for attempt in (1, 2, 3):
        pod = f"nas-0-{attempt}"
        workspace.set_pod(pod, endings.running())
        workspace.set_pod(pod, endings.disrupted(reason, "taken away"))
        status = workspace.wait_trial("nas-0", lambda status: status.get("disruption") is not None)
        assert status["disruption"] == written
        workspace.api.delete("pods", pod)
        workspace.wait_trial("nas-0", lambda status, next_=attempt + 1: bool(status.get("attempt") == next_))  # type: ignore[misc]
    workspace.set_pod("nas-0-4", RESULT)
    workspace.wait_condition("Succeeded")
    status = workspace.trial("nas-0")["status"]
    assert (status["phase"], status["attempt"], status["failures"]) == ("Succeeded", 4, 0)


def test_a_disrupted_pod_that_ends_by_itself_is_replaced(workspace: Workspace) -> None:
    """The trainer has had the time to store a checkpoint."""
    workspace.apply(one_trial())
    ending = endings.exited(143) | endings.disrupted("EvictionByEvictionAPI", "drained")
    workspace.set_pod("nas-0-1", ending)
    workspace.set_pod("nas-0-2", RESULT)
    workspace.wait_condition("Succeeded")
    assert workspace.trial("nas-0")["status"]["failures"] == 0


SIDECAR = {"spec": {"schedulerName": "nobody", "containers": [{"name": "istio-proxy", "image": "proxy"}]}}


def test_a_sidecar_that_goes_on_holds_neither_trial_nor_pod(workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 2, "parallelism": 1, "retries": 0}, trialTemplate=SIDECAR))
    workspace.set_pod("nas-0-1", endings.beside(endings.exited(1, "boom"), "istio-proxy"))
    check_failed(workspace, "NonZeroExit", "exited with 1: boom")
    workspace.set_pod("nas-1-1", endings.beside(RESULT, "istio-proxy"))
    workspace.wait_condition("Succeeded")
    until(lambda: not workspace.pods())


def test_a_result_counts_although_a_part_of_the_trainer_ran_out_of_memory(workspace: Workspace) -> None:
    workspace.apply(one_trial())
    workspace.set_pod("nas-0-1", endings.exited(0, endings.results(accuracy=0.5), reason="OOMKilled"))
    workspace.wait_condition("Succeeded")


def running_attempt(workspace: Workspace) -> int | None:
    """Which attempt of trial `nas-0` is noted as running."""
    status = workspace.trial("nas-0").get("status", {})
    return status["attempt"] if status.get("phase") == "Running" else None


def test_a_pod_that_is_collected_with_its_node_is_replaced_and_not_counted(workspace: Workspace) -> None:
    """It is shown as failed and disrupted at once, and is gone in the next moment."""
    workspace.apply(one_trial())
    for attempt in (1, 2):
        pod = f"nas-0-{attempt}"
        workspace.set_pod(pod, endings.running())
        until(lambda now=attempt: running_attempt(workspace) == now)  # type: ignore[misc]
        workspace.set_pod(pod, {"phase": "Failed"} | endings.disrupted("DeletionByPodGC", "node lost"))
        workspace.api.delete("pods", pod)
    workspace.set_pod("nas-0-3", RESULT)
    workspace.wait_condition("Succeeded")
    assert workspace.trial("nas-0")["status"]["failures"] == 0


def test_a_pod_that_goes_while_no_operator_runs_is_not_counted(operator: Operator, workspace: Workspace) -> None:
    workspace.apply(one_trial())
    workspace.set_pod("nas-0-1", endings.running())
    workspace.wait_trial("nas-0", lambda status: bool(status.get("phase") == "Running"))
    operator.kill()
    workspace.take_lease_away()
    workspace.api.delete("pods", "nas-0-1")
    until(lambda: not workspace.pods())
    operator.start().wait_ready()
    workspace.set_pod("nas-0-2", RESULT)
    workspace.wait_condition("Succeeded")
    assert workspace.trial("nas-0")["status"]["failures"] == 0


def test_a_spot_node_that_is_taken_back_is_not_counted(workspace: Workspace) -> None:
    """Its kubelet says so in the pod's reason alone."""
    workspace.apply(one_trial())
    said = {"reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."}
    workspace.set_pod("nas-0-1", endings.exited(143) | said)
    workspace.set_pod("nas-0-2", {"phase": "Failed", "reason": "NodeShutdown", "message": "the node is shutting down"})
    workspace.set_pod("nas-0-3", RESULT)
    workspace.wait_condition("Succeeded")
    assert workspace.trial("nas-0")["status"]["failures"] == 0


def test_a_failed_attempt_is_tried_again_with_the_same_trial(workspace: Workspace) -> None:
    workspace.apply(one_trial(retries=1))
    workspace.set_pod("nas-0-1", endings.exited(1, "out of luck"))
    workspace.set_pod("nas-0-2", RESULT)
    workspace.wait_condition("Succeeded")
    status = workspace.trial("nas-0")["status"]
    assert (status["attempt"], status["failures"]) == (2, 1)
    assert status["lastFailure"]["attempt"] == 1
    assert "out of luck" in status["lastFailure"]["message"]
    assert workspace.created("pods") == ["nas-0-1", "nas-0-2"]
    assert workspace.created("nastrials") == ["nas-0"]


def test_a_trial_fails_once_its_retries_are_used_up(workspace: Workspace) -> None:
    workspace.apply(one_trial(retries=1))
    workspace.set_pod("nas-0-1", endings.exited(1, "first"))
    workspace.set_pod("nas-0-2", endings.exited(1, "second"))
    status = check_failed(workspace, "NonZeroExit", "second")
    assert (status["attempt"], status["failures"]) == (2, 2)
    until(lambda: [event for event in workspace.events() if event["reason"] == "TrialFailed"] != [])
    (event,) = [event for event in workspace.events() if event["reason"] == "TrialFailed"]
    assert event["type"] == "Warning"
    assert "nas-0 failed after 2 attempts: NonZeroExit" in event["message"]


def test_an_experiment_fails_above_its_failures_and_says_why(workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 10, "parallelism": 1, "retries": 0, "maxFailures": 1}))
    workspace.set_pod("nas-0-1", endings.exited(1, "first"))
    workspace.set_pod("nas-1-1", endings.exited(1, "the last words"))
    end = workspace.wait_condition("Failed")
    assert end["reason"] == "MaxFailuresExceeded"
    assert "2 trials have failed, more than trials.maxFailures (1)" in end["message"]
    assert "the last words" in end["message"]
    assert len(workspace.trials()) == 2, "no further trial is begun"


def test_what_still_runs_above_the_failures_is_stopped(workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 10, "parallelism": 2, "retries": 0, "maxFailures": 0}))
    workspace.set_pod("nas-0-1", endings.running())
    workspace.wait_trial("nas-0", lambda status: bool(status.get("phase") == "Running"))
    workspace.set_pod("nas-1-1", endings.exited(1, "out of luck"))
    assert workspace.wait_condition("Failed")["reason"] == "MaxFailuresExceeded"
    until(lambda: [pod["metadata"]["name"] for pod in workspace.pods()] == ["nas-1-1"])
    assert [trial["status"]["phase"] for trial in workspace.trials()] == ["Pruned", "Failed"]
    assert sorted(workspace.created("pods")) == ["nas-0-1", "nas-1-1"]


def test_a_pod_without_a_place_is_waited_for(workspace: Workspace) -> None:
    workspace.apply(one_trial())
    workspace.set_pod("nas-0-1", endings.unschedulable("0/3 nodes are available: 3 Insufficient nvidia.com/gpu"))
    said = workspace.wait_condition("TrialsScheduled", status="False")
    assert said["reason"] == "Unschedulable"
    assert "No node takes pod nas-0-1: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu" in said["message"]
    assert workspace.condition("Running")["status"] == "True"
    placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": endings.moment()}
    workspace.set_pod("nas-0-1", endings.running() | {"conditions": [placed]})
    workspace.wait_condition("TrialsScheduled")
    workspace.set_pod("nas-0-1", RESULT)
    workspace.wait_condition("Succeeded")
    assert workspace.created("pods") == ["nas-0-1"]


def test_a_specification_that_is_wrong_beyond_its_schema_is_rejected(workspace: Workspace) -> None:
    workspace.apply(experiment(search={"algorithm": "random", "settings": {"populationSize": 5}}))
    said = workspace.wait_condition("Accepted", status="False")
    assert said["reason"] == "InvalidSpec"
    assert "spec.search.settings.populationSize: is no setting of random" in said["message"]
    assert workspace.status()["phase"] == "Rejected"
    assert not workspace.trials()
    workspace.api.patch("nasexperiments", "nas", {"spec": {"search": {"settings": None}, "trials": {"max": 1}}})
    workspace.wait_condition("Accepted")
    workspace.wait_pod("nas-0-1")


def test_a_pod_that_the_apiserver_refuses_is_told_and_tried_again(workspace: Workspace) -> None:
    """Only the apiserver can judge all of a template."""
    workspace.apply(
        experiment(
            trials={"max": 1}, trialTemplate={"spec": {"schedulerName": "nobody", "priorityClassName": "absent"}}
        )
    )
    said = workspace.wait_condition("TrialsScheduled", status="False")
    assert said["reason"] == "PodRefused"
    assert "spec.trialTemplate" in said["message"]
    assert "no PriorityClass with name absent was found" in said["message"]
    template = {"spec": {"priorityClassName": None}}
    workspace.api.patch("nasexperiments", "nas", {"spec": {"trialTemplate": template}})
    workspace.set_pod("nas-0-1", RESULT)
    workspace.wait_condition("Succeeded")
    assert workspace.condition("TrialsScheduled")["status"] == "True"
