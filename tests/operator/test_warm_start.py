"""A search that begins with what another one has found."""

from __future__ import annotations

import pytest

from tests.operator.harness import Workspace, experiment

pytestmark = [pytest.mark.control_plane, pytest.mark.usefixtures("operator")]


def test_results_of_another_experiment_are_known_and_recorded(workspace: Workspace) -> None:
    later = experiment("later", trials={"max": 2, "parallelism": 2}, warmStart=[{"experiment": "nas"}])
    with workspace.control_plane.fake_pods():
        workspace.apply(later)
        missing = workspace.wait_condition("Accepted", "later", status="False")
        assert "spec.warmStart[0].experiment: there is no experiment nas" in missing["message"]
        assert workspace.trials("later") == []

        workspace.apply(experiment(trials={"max": 4, "parallelism": 4}))
        workspace.wait_condition("Succeeded")
        workspace.wait_condition("Succeeded", "later")
    (source,) = workspace.status("later")["warmStart"]
    assert source["experiment"] == "nas"
    assert source["uid"] == workspace.experiment()["metadata"]["uid"]
    found = {(one["trial"], one["metrics"][0]["value"]) for one in source["results"]}
    trials = {(one["metadata"]["name"], one["status"]["value"]) for one in workspace.trials()}
    assert found
    assert found <= trials
    assert workspace.condition("Accepted", "later")["status"] == "True"
