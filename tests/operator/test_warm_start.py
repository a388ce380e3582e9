"""A search that begins with what another one has found."""

from __future__ import annotations

import pytest

from kubenas.cluster.documents import MOST_VALUES
from tests.cluster.conditions import until
from tests.operator.harness import Workspace, experiment
from tests.operator.hostile import owner

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


def test_a_trial_that_cannot_be_read_is_left_out_alone(workspace: Workspace) -> None:
    with workspace.control_plane.fake_pods():
        workspace.apply(experiment(trials={"max": 3, "parallelism": 3}))
        workspace.wait_condition("Succeeded")
        broken = {
            "apiVersion": "kubenas.io/v1alpha1",
            "kind": "NASTrial",
            "metadata": {
                "name": "nas-7",
                "labels": {"kubenas.io/experiment": "nas"},
                "ownerReferences": [owner("NASExperiment", "nas", workspace.experiment()["metadata"]["uid"])],
            },
            "spec": {
                "number": 7,
                "resultsSeen": 0,
                "candidates": [{"id": "0", "architecture": {"0-1": [0] * MOST_VALUES}, "epochs": 3}],
            },
        }
        workspace.api.create("nastrials", broken)
        workspace.apply(experiment("later", trials={"max": 1}, warmStart=[{"experiment": "nas"}]))
        workspace.wait_condition("Succeeded", "later")
    (source,) = workspace.status("later")["warmStart"]
    assert {one["trial"] for one in source["results"]} <= {"nas-0", "nas-1", "nas-2"}
    assert source["results"]
    (left_out,) = source["leftOut"]
    assert left_out.startswith("NASTrial nas-7 cannot be read: SpecError: spec: has more than 100,000 keys")
    until(lambda: any(e["reason"] == "TrialsLeftOut" for e in workspace.events("later")))
    (event,) = [e for e in workspace.events("later") if e["reason"] == "TrialsLeftOut"]
    assert event["type"] == "Warning"
    assert "NASTrial nas-7 cannot be read" in event["message"]
