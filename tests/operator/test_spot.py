"""Spot nodes that are taken back, and what attempts cost, on a real control plane."""

from __future__ import annotations

import pytest

from tests.cluster.conditions import until
from tests.operator import endings
from tests.operator.harness import Operator, Workspace, experiment

pytestmark = pytest.mark.control_plane

TEMPLATE = {
    "priceClass": "spot",
    "spec": {"schedulerName": "nobody", "nodeSelector": {"capacity": "spot"}},
    "alternatives": [
        {"afterDisruptions": 2, "priceClass": "on-demand", "spec": {"nodeSelector": {"capacity": "on-demand"}}}
    ],
}
HOUR = 3600


@pytest.fixture
def operator(workspace: Workspace) -> Operator:
    return workspace.operator().start().wait_ready()


def placed(workspace: Workspace, name: str) -> tuple[str, str]:
    """Where a pod may run, and what its hours count as."""
    pod = workspace.wait_pod(name)
    return pod["spec"]["nodeSelector"]["capacity"], pod["metadata"]["labels"]["kubenas.io/price-class"]


@pytest.mark.usefixtures("operator")
def test_a_mistake_that_only_later_pods_have_is_told_before_anything_is_spent(workspace: Workspace) -> None:
    wrong = {"afterDisruptions": 1, "spec": {"nodeSelektor": {"capacity": "on-demand"}}}
    device = {"nodeSelector": {"board": "phone"}, "resources": {"limits": {"cpu": "lots"}}}
    workspace.apply(experiment("spot", trialTemplate={"spec": TEMPLATE["spec"], "alternatives": [wrong]}))
    objectives = [{"metric": "accuracy"}, {"metric": "board_ms", "goal": "minimize", "measuredOn": device}]
    workspace.apply(experiment("device", objectives=objectives, storage={"volumeClaim": "artifacts"}))
    told = {name: workspace.wait_condition("TrialsScheduled", name, "False") for name in ("spot", "device")}
    assert {one["reason"] for one in told.values()} == {"PodRefused"}
    assert "trialTemplate.alternatives[0]: " in told["spot"]["message"]
    assert 'unknown field "spec.nodeSelektor"' in told["spot"]["message"]
    assert "objectives[1].measuredOn: " in told["device"]["message"]
    assert workspace.created("pods") == []
    mended = [{**wrong, "spec": {"nodeSelector": {"capacity": "on-demand"}}}]
    workspace.api.patch("nasexperiments", "spot", {"spec": {"trialTemplate": {"alternatives": mended}}})
    workspace.wait_pod("spot-0-1")
    assert workspace.created("pods") == ["spot-0-1"]


def test_a_trial_that_is_taken_away_twice_goes_on_on_demand_until_the_cost_is_spent(
    operator: Operator, workspace: Workspace
) -> None:
    budget = {"cost": 2.001, "prices": {"spot": 1, "on-demand": 4}}
    workspace.apply(
        experiment(trials={"max": 3, "parallelism": 1, "retries": 0}, budget=budget, trialTemplate=TEMPLATE)
    )
    for attempt in (1, 2):
        assert placed(workspace, f"nas-0-{attempt}") == ("spot", "spot")
        workspace.set_pod(
            f"nas-0-{attempt}",
            endings.exited(143, seconds=HOUR)
            | endings.disrupted("TerminationByKubelet", "the spot node is taken back"),
        )
        workspace.wait_trial("nas-0", lambda status, n=attempt: status.get("disruptions") == n)  # type: ignore[misc]
    operator.kill()
    operator.start().wait_ready()
    assert placed(workspace, "nas-0-3") == ("on-demand", "on-demand")
    workspace.set_pod("nas-0-3", endings.running())

    end = workspace.wait_condition("Failed")
    assert end["reason"] == "BudgetExhausted"
    assert "of budget.cost 2.001" in end["message"]
    status = workspace.trial("nas-0")["status"]
    assert (status["phase"], status["attempt"], status["disruptions"], status["failures"]) == ("Pruned", 3, 2, 0)
    seconds = {one["priceClass"]: one["seconds"] for one in status["classSeconds"]}
    assert seconds["spot"] == 2 * HOUR
    assert seconds["on-demand"] >= 0.9
    cost = workspace.status()["cost"]
    hours = {one["priceClass"]: one["hours"] for one in cost["classes"]}
    assert hours == {name: pytest.approx(each / HOUR, abs=1e-4) for name, each in seconds.items()}
    assert cost["total"] == pytest.approx(2 + 4 * hours["on-demand"], abs=1e-3)
    assert [one["metadata"]["name"] for one in workspace.trials()] == ["nas-0"], "nothing was started after the budget"
    until(lambda: not workspace.pods())
