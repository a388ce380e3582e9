"""Searches that go through several evaluation methods, with the operator killed on the way."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.cluster.conditions import until
from tests.cluster.fake_pods import Ending, Trial, drawn
from tests.operator.harness import Workspace, experiment

if TYPE_CHECKING:
    from tests.operator.api import Object

pytestmark = pytest.mark.control_plane

EDGES = ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
PROXIES = ("nwot", "synflow")


def by_method(trial: Trial) -> Ending:
    """What a trainer would report by the trial's method."""
    return Ending(
        json.dumps({"results": [_result(trial, candidate) for candidate in trial["candidates"]]}), seconds=0.1
    )


def _result(trial: Trial, candidate: Object) -> Object:
    method, architecture = trial["evaluation"]["method"], candidate["architecture"]
    result = {"candidate": candidate["id"], "step": candidate.get("epochs") or 0}
    if method == "supernet" and "supernet" not in trial:
        return {**result, "metrics": {"loss": 1.0}}
    if method == "zero-cost":
        return {**result, "metrics": {proxy: drawn([proxy, architecture]) for proxy in PROXIES}}
    if method == "differentiable":
        found = {edge: OPERATIONS[int(5 * drawn([trial["seed"], edge]))] for edge in EDGES}
        return {**result, "architecture": found, "metrics": {"accuracy": drawn(found)}}
    return {**result, "metrics": {"accuracy": drawn(architecture)}}


def no_supernet(trial: Trial) -> Ending:
    """As `by_method`, but for a supernet, which cannot be trained."""
    if trial["evaluation"]["method"] == "supernet" and "supernet" not in trial:
        error = {"reason": "InvalidTrial", "message": "the space has no largest network"}
        return Ending(json.dumps({"error": error}), exit_code=1, reason="Error")
    return by_method(trial)


def killed_on_the_way(workspace: Workspace, document: Object, *ended: int) -> list[Object]:
    """The trials of an experiment whose operator is killed each time so many of them have ended."""
    operator = workspace.operator()
    workspace.apply(document)
    for count in ended:
        operator.start().wait_ready()
        until(partial(_has_ended, workspace, count))
        operator.kill()
        workspace.take_lease_away()
    operator.start()
    workspace.wait_condition("Succeeded")
    trials = workspace.trials()
    assert [trial["spec"]["number"] for trial in trials] == [*range(len(trials))]
    assert {trial["status"]["attempt"] for trial in trials} == {1}
    return trials


def _has_ended(workspace: Workspace, trials: int) -> bool:
    return sum("completionTime" in trial.get("status", {}) for trial in workspace.trials()) >= trials


def test_scores_choose_what_a_supernet_judges_and_what_is_trained(workspace: Workspace) -> None:
    stages = [
        {
            "name": "score",
            "evaluation": {"method": "zero-cost", "proxies": [*PROXIES], "combine": "mean-rank"},
            "trials": {"candidatesPerTrial": 4},
            "keep": {"top": 4},
        },
        {
            "name": "shared",
            "evaluation": {"method": "supernet", "epochs": 2},
            "trials": {"candidatesPerTrial": 2},
            "keep": {"top": 1},
        },
        {"name": "final", "evaluation": {"epochs": 5, "inherit": True, "seeds": 2}},
    ]
    with workspace.control_plane.fake_pods(by_method):
        document = experiment(stages=stages, storage={"volumeClaim": "artifacts"}, trials={"max": 3, "parallelism": 2})
        trials = killed_on_the_way(workspace, document, 2, 3, 4, 6)
    assert [t["spec"]["stage"] for t in trials] == ["score"] * 3 + ["shared-supernet"] + ["shared"] * 2 + ["final"] * 2
    scored = [candidate["architecture"] for trial in trials[:3] for candidate in trial["spec"]["candidates"]]
    # Of equal ones the earliest, as sorting keeps the order.
    best = sorted(scored, key=lambda one: sum(_better(proxy, one, scored) for proxy in PROXIES))[:4]
    assert [c["architecture"] for trial in trials[4:6] for c in trial["spec"]["candidates"]] == best
    assert "architecture" not in trials[3]["spec"]["candidates"][0]
    assert [trial["spec"].get("supernet") for trial in trials] == [None] * 4 + ["nas-3/0.safetensors"] * 4
    assert all("value" not in trial["status"] for trial in trials[:4])
    assert {str(trial["spec"]["candidates"][0]["architecture"]) for trial in trials[6:]} == {str(max(best, key=drawn))}
    assert workspace.status()["best"]["trial"] == "nas-6"
    assert (workspace.status()["stage"], workspace.status()["progress"]) == ("final", "8/8")


def _better(proxy: str, architecture: Object, among: list[Object]) -> int:
    """How many are better by a proxy."""
    return sum(drawn([proxy, one]) > drawn([proxy, architecture]) for one in among)


def test_what_a_differentiable_search_finds_is_trained(workspace: Workspace) -> None:
    stages = [
        {"name": "search", "evaluation": {"method": "differentiable", "epochs": 2}, "keep": {"top": 2}},
        {"name": "train", "evaluation": {"epochs": 5}},
    ]
    with workspace.control_plane.fake_pods(by_method):
        document = experiment(stages=stages, trials={"max": 4, "parallelism": 2})
        trials = killed_on_the_way(workspace, document, 2, 4)
    assert [trial["spec"]["stage"] for trial in trials] == ["search"] * 4 + ["train"] * 2
    found = [trial["status"]["results"][0]["architecture"] for trial in trials[:4]]
    assert len({str(one) for one in found}) == 4, "each search has a seed of its own"
    trained = [trial["spec"]["candidates"][0]["architecture"] for trial in trials[4:]]
    assert trained == sorted(found, key=drawn, reverse=True)[:2]


@pytest.mark.usefixtures("operator")
def test_a_supernet_that_cannot_be_trained_ends_the_search_with_its_reason(workspace: Workspace) -> None:
    with workspace.control_plane.fake_pods(no_supernet):
        storage, trials = {"volumeClaim": "artifacts"}, {"max": 2, "candidatesPerTrial": 2}
        workspace.apply(experiment(evaluation={"method": "supernet"}, storage=storage, trials=trials))
        end = workspace.wait_condition("Failed")
        assert end["reason"] == "SupernetFailed"
        assert "InvalidTrial: nas-0: the space has no largest network" in end["message"]
        assert len(workspace.trials()) == 1
    with workspace.control_plane.fake_pods(by_method):
        # Mended, and the failed trial deleted, the search goes on.
        workspace.api.delete("nastrials", "nas-0")
        workspace.wait_condition("Succeeded")
    assert [trial["spec"].get("stage") for trial in workspace.trials()] == ["supernet", None, None]
