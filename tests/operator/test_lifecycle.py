"""An experiment's life: begun, suspended, given more, ended, deleted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cluster.conditions import until
from tests.cluster.fake_pods import Ending, Trial, drawn
from tests.operator import endings
from tests.operator.harness import Operator, Workspace, experiment

if TYPE_CHECKING:
    from tests.operator.api import Object

pytestmark = pytest.mark.control_plane


def result(accuracy: float) -> Object:
    return endings.exited(0, endings.results(accuracy=accuracy))


def names(objects: list[Object]) -> set[str]:
    return {one["metadata"]["name"] for one in objects}


def wait_pods(workspace: Workspace, *wanted: str) -> None:
    until(lambda: names(workspace.pods()) == set(wanted))


def change(workspace: Workspace, **spec: object) -> None:
    workspace.api.patch("nasexperiments", "nas", {"spec": spec})


@pytest.mark.usefixtures("operator")
def test_a_suspended_experiment_gives_its_pods_up_and_goes_on_with_the_same_trials(workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 2, "parallelism": 2}))
    for pod in ("nas-0-1", "nas-1-1"):
        workspace.set_pod(pod, endings.running())
    until(lambda: workspace.status().get("counts", {}).get("running") == 2)
    change(workspace, suspend=True)
    workspace.wait_condition("Suspended")
    wait_pods(workspace)
    assert workspace.status()["phase"] == "Suspended"
    change(workspace, suspend=False)
    for pod in ("nas-0-2", "nas-1-2"):
        workspace.set_pod(pod, result(0.5))
    workspace.wait_condition("Succeeded")
    assert workspace.condition("Suspended")["status"] == "False"
    assert [trial["status"]["failures"] for trial in workspace.trials()] == [0, 0]


@pytest.mark.usefixtures("operator")
def test_an_experiment_that_has_ended_goes_on_with_more_trials(workspace: Workspace) -> None:
    with workspace.control_plane.fake_pods():
        workspace.apply(experiment(trials={"max": 2}))
        workspace.wait_condition("Succeeded")
        completed = workspace.status()["completionTime"]
        change(workspace, trials={"max": 5})
        until(lambda: workspace.status()["progress"] == "5/5" and "completionTime" in workspace.status())
    assert len(workspace.trials()) == 5
    assert workspace.condition("Succeeded")["message"] == "5 of 5 trials have a result."
    assert workspace.status()["completionTime"] >= completed


@pytest.mark.usefixtures("operator")
def test_parallelism_follows_kubectl_scale(workspace: Workspace) -> None:
    def scale(replicas: int) -> None:
        workspace.control_plane.kubectl(
            "scale", "nas/nas", f"--replicas={replicas}", f"--namespace={workspace.namespace}"
        )

    workspace.apply(experiment(trials={"max": 10, "parallelism": 1}))
    wait_pods(workspace, "nas-0-1")
    scale(3)
    wait_pods(workspace, "nas-0-1", "nas-1-1", "nas-2-1")
    scale(1)
    for pod in ("nas-0-1", "nas-1-1", "nas-2-1"):
        workspace.set_pod(pod, result(0.5))
    wait_pods(workspace, "nas-3-1")
    assert len(workspace.trials()) == 4
    scale(0)
    workspace.set_pod("nas-3-1", result(0.5))
    wait_pods(workspace)
    until(lambda: workspace.status()["progress"] == "4/10")
    assert len(workspace.trials()) == 4
    assert workspace.condition("Running")["status"] == "True"


@pytest.mark.usefixtures("operator")
def test_trials_follow_the_nodes_that_there_are(workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 10, "autoscale": {"max": 3, "maxPending": 1}}))
    wait_pods(workspace, "nas-0-1")
    placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": endings.moment()}
    workspace.set_pod("nas-0-1", {"conditions": [placed]})
    wait_pods(workspace, "nas-0-1", "nas-1-1")
    workspace.set_pod("nas-1-1", endings.running())
    wait_pods(workspace, "nas-0-1", "nas-1-1", "nas-2-1")
    workspace.set_pod("nas-2-1", endings.unschedulable("0/2 nodes are available", seconds=601))
    assert workspace.wait_condition("TrialsScheduled", status="False")["reason"] == "NodesUnavailable"
    until(lambda: workspace.status()["slots"] == 2)
    assert "NodesUnavailable" in {event["reason"] for event in workspace.events()}
    # What ends leaves its node to the pod that waits.
    workspace.set_pod("nas-0-1", result(0.5))
    wait_pods(workspace, "nas-1-1", "nas-2-1")
    until(lambda: workspace.status()["slots"] == 1)
    workspace.set_pod("nas-2-1", endings.running() | {"conditions": [placed]})
    wait_pods(workspace, "nas-1-1", "nas-2-1", "nas-3-1")


@pytest.mark.usefixtures("operator")
def test_trials_that_are_paused_go_on_before_new_ones(workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 4, "parallelism": 3, "scaleDown": "Pause"}))
    for pod in ("nas-0-1", "nas-1-1", "nas-2-1"):
        workspace.set_pod(pod, endings.running())
    until(lambda: workspace.status().get("counts", {}).get("running") == 3)
    change(workspace, trials={"parallelism": 1})
    wait_pods(workspace, "nas-0-1")
    change(workspace, trials={"parallelism": 2})
    wait_pods(workspace, "nas-0-1", "nas-1-2")
    for pod in ("nas-0-1", "nas-1-2"):
        workspace.set_pod(pod, result(0.5))
    wait_pods(workspace, "nas-2-2", "nas-3-1")
    assert [trial.get("status", {}).get("failures", 0) for trial in workspace.trials()] == [0, 0, 0, 0]


@pytest.mark.parametrize("watched", [True, False], ids=["operator-running", "operator-gone"])
def test_all_of_a_deleted_experiment_goes(watched: bool, operator: Operator, workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 10, "parallelism": 3}))
    wait_pods(workspace, "nas-0-1", "nas-1-1", "nas-2-1")
    workspace.set_pod("nas-0-1", result(0.5))
    until(lambda: len(workspace.trials()) == 4)
    if not watched:
        operator.kill()
    workspace.api.delete("nasexperiments", "nas")
    workspace.wait_gone()
    assert operator.running == watched


@pytest.mark.usefixtures("operator")
def test_an_experiment_made_again_under_its_name_begins_anew(workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 4, "parallelism": 2}))
    workspace.set_pod("nas-0-1", result(0.5))
    until(lambda: len(workspace.trials()) == 3)
    workspace.api.delete("nasexperiments", "nas")
    with workspace.control_plane.fake_pods():
        workspace.apply(experiment(trials={"max": 4, "parallelism": 2}, search={"algorithm": "random", "seed": 2}))
        workspace.wait_condition("Succeeded")
    uid = workspace.experiment()["metadata"]["uid"]
    trials = workspace.trials()
    assert [trial["spec"]["number"] for trial in trials] == [0, 1, 2, 3]
    assert {trial["metadata"]["ownerReferences"][0]["uid"] for trial in trials} == {uid}
    for trial in trials:
        architecture = trial["spec"]["candidates"][0]["architecture"]
        assert trial["status"]["results"][0]["metrics"] == [{"name": "accuracy", "value": drawn(architecture)}]


@pytest.mark.usefixtures("operator")
def test_an_ended_experiment_is_deleted_after_its_time(workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 1}, ttlSecondsAfterFinished=1))
    workspace.set_pod("nas-0-1", result(0.5))
    workspace.wait_gone()


@pytest.mark.usefixtures("operator")
def test_spent_gpu_hours_end_the_search(workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 10, "parallelism": 1}, budget={"gpuHours": 0.5}))
    workspace.set_pod("nas-0-1", endings.exited(0, endings.results(accuracy=0.5), seconds=1799))
    workspace.set_pod("nas-1-1", endings.running())
    end = workspace.wait_condition("Succeeded")
    assert end["reason"] == "BudgetExhausted"
    assert "of budget.gpuHours 0.5" in end["message"]
    assert workspace.trial("nas-1")["status"]["phase"] == "Pruned"
    assert workspace.status()["cost"]["gpuHours"] >= 0.5
    assert workspace.status()["best"]["trial"] == "nas-0"
    wait_pods(workspace)


@pytest.mark.usefixtures("operator")
def test_the_end_of_the_wall_clock_ends_the_search(workspace: Workspace) -> None:
    workspace.apply(experiment(trials={"max": 10, "parallelism": 1}))
    workspace.set_pod("nas-0-1", result(0.5))
    workspace.set_pod("nas-1-1", endings.running())
    change(workspace, budget={"wallClock": "1s"})
    end = workspace.wait_condition("Succeeded")
    assert (end["reason"], end["message"]) == ("BudgetExhausted", "budget.wallClock (1s) has passed.")
    assert workspace.trial("nas-1")["status"]["phase"] == "Pruned"
    wait_pods(workspace)


@pytest.mark.usefixtures("operator")
def test_a_reached_target_ends_the_search(workspace: Workspace) -> None:
    objective = {"metric": "accuracy", "target": 0.9}
    workspace.apply(experiment(objectives=[objective], trials={"max": 10, "parallelism": 2}))
    workspace.set_pod("nas-1-1", endings.running())
    workspace.set_pod("nas-0-1", result(0.95))
    end = workspace.wait_condition("Succeeded")
    assert (end["reason"], end["message"]) == ("GoalReached", "0.95 reaches the target.")
    assert workspace.trial("nas-1")["status"]["phase"] == "Pruned"
    assert workspace.status()["best"]["trial"] == "nas-0"
    assert len(workspace.trials()) == 2
    wait_pods(workspace)


@pytest.mark.usefixtures("operator")
def test_two_experiments_run_side_by_side(workspace: Workspace) -> None:
    with workspace.control_plane.fake_pods(seconds=0.1):
        for name in ("one", "two"):
            workspace.apply(experiment(name, trials={"max": 6, "parallelism": 2}))
        for name in ("one", "two"):
            workspace.wait_condition("Succeeded", name)
    architectures = [
        [trial["spec"]["candidates"][0]["architecture"] for trial in workspace.trials(name)] for name in ("one", "two")
    ]
    assert [len(found) for found in architectures] == [6, 6]
    assert architectures[0][0] == architectures[1][0], "the first draw depends on the seed alone"


@pytest.mark.usefixtures("operator")
def test_a_funnel_trains_the_best_of_a_stage_for_longer(workspace: Workspace) -> None:
    stages = [
        {"name": "search", "evaluation": {"epochs": 1}, "keep": {"top": 2}},
        {"name": "train", "evaluation": {"epochs": 5}},
    ]
    with workspace.control_plane.fake_pods():
        workspace.apply(experiment(stages=stages, trials={"max": 5, "parallelism": 2}))
        workspace.wait_condition("Succeeded")
    trials = workspace.trials()
    assert [trial["spec"]["stage"] for trial in trials] == ["search"] * 5 + ["train"] * 2
    candidates = [trial["spec"]["candidates"][0] for trial in trials]
    assert [candidate["epochs"] for candidate in candidates] == [1] * 5 + [5] * 2
    architectures = [candidate["architecture"] for candidate in candidates]
    assert architectures[5:] == sorted(architectures[:5], key=drawn, reverse=True)[:2]
    assert workspace.status()["best"]["trial"] == "nas-5"
    assert (workspace.status()["stage"], workspace.status()["progress"]) == ("train", "7/7")


def noisy(trial: Trial) -> Ending:
    """Accuracies that differ between seeds, on validation and on test."""
    results = []
    for candidate in trial["candidates"]:
        value, noise = drawn(candidate["architecture"]), drawn(trial["seed"]) / 100
        metrics = {"accuracy": value + noise, "test_accuracy": value - noise}
        results.append({"candidate": candidate["id"], "step": candidate["epochs"], "metrics": metrics})
    return Ending(json.dumps({"results": results}))


@pytest.mark.usefixtures("operator")
def test_stages_of_their_own_search_evaluation_and_seeds(workspace: Workspace) -> None:
    evolution = {"algorithm": "regularized-evolution", "settings": {"populationSize": 3, "sampleSize": 2}}
    stages = [
        {"name": "wide", "evaluation": {"epochs": 1}, "trials": {"candidatesPerTrial": 2}},
        {"name": "again", "search": evolution, "trials": {"max": 3}, "keep": {"top": 2}},
        {"name": "final", "evaluation": {"epochs": 9, "seeds": 3}},
    ]
    with workspace.control_plane.fake_pods(noisy):
        workspace.apply(experiment(stages=stages, trials={"max": 2, "parallelism": 4}))
        workspace.wait_condition("Succeeded")
    specs = [trial["spec"] for trial in workspace.trials()]
    assert [spec["stage"] for spec in specs] == ["wide"] * 2 + ["again"] * 3 + ["final"] * 6
    assert [spec["seed"] for spec in specs[5:]] == [0, 1, 2] * 2
    assert [len(spec["candidates"]) for spec in specs] == [2] * 2 + [1] * 9
    status = workspace.status()
    best = max((spec["candidates"][0]["architecture"] for spec in specs[2:5]), key=drawn)
    assert status["best"]["architecture"] == best
    assert (status["best"]["seeds"], status["progress"]) == (3, "11/11")
    first, _ = status["finalists"]
    assert first["architecture"] == best
    told = {metric["name"]: metric for metric in first["metrics"]}
    assert told["accuracy"]["spread"] > 0
    assert told["test_accuracy"]["value"] < told["accuracy"]["value"]
    generalizes = workspace.condition("Generalizes")
    assert generalizes["status"] in ("True", "False")
    assert "The best of 2 finalists has accuracy" in generalizes["message"]


@pytest.mark.usefixtures("operator")
def test_events_tell_what_a_person_wants_to_read(workspace: Workspace) -> None:
    """Not one for each trial."""
    workspace.apply(experiment(trials={"max": 4, "parallelism": 1, "retries": 0}))
    workspace.set_pod("nas-0-1", endings.exited(1, "out of luck"))
    for number in (1, 2, 3):
        workspace.set_pod(f"nas-{number}-1", result(0.5))
    until(lambda: len(workspace.events()) >= 3)
    told = {event["reason"]: (event["type"], event["message"]) for event in workspace.events()}
    assert told == {
        "Started": ("Normal", "The search has started."),
        "TrialFailed": ("Warning", "nas-0 failed after 1 attempt: NonZeroExit: the trainer exited with 1: out of luck"),
        "Succeeded": ("Normal", "3 of 4 trials have a result."),
    }
    assert len(workspace.events()) == 3
    described = workspace.control_plane.kubectl("describe", "nas", "nas", f"--namespace={workspace.namespace}")
    assert "out of luck" in described


def test_without_prometheus_the_search_goes_on_and_says_so(workspace: Workspace) -> None:
    workspace.operator("--prometheus-url=http://127.0.0.1:1").start().wait_ready()
    workspace.apply(experiment(trials={"max": 1}, metrics={"source": "Prometheus", "interval": "1s"}))
    workspace.set_pod("nas-0-1", endings.running())
    said = workspace.wait_condition("MetricsAvailable", status="False")
    assert said["reason"] == "PrometheusUnreachable"
    assert "http://127.0.0.1:1" in said["message"]
    workspace.set_pod("nas-0-1", result(0.5))
    workspace.wait_condition("Succeeded")
