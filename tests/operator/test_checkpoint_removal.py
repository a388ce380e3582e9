"""Pods that remove checkpoints, on a real apiserver."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conditions import until
from tests.operator.harness import Workspace, experiment
from tests.operator.test_quotas import quota, resources

if TYPE_CHECKING:
    from tests.operator.api import Object

pytestmark = [pytest.mark.control_plane, pytest.mark.usefixtures("operator")]

TRIALS = 20


def searched(workspace: Workspace, **spec: Any) -> Object:
    """The status of a search that keeps the best alone."""
    workspace.apply(
        experiment(
            search={"algorithm": "random"},
            trials={"max": TRIALS, "parallelism": 2},
            storage={"volumeClaim": "artifacts", "keep": "best"},
            **spec,
        )
    )
    with workspace.control_plane.fake_pods():
        workspace.wait_condition("Succeeded")
    return workspace.status()


def removals(workspace: Workspace) -> list[str]:
    """The names of pods that remove checkpoints, as long as they are there."""
    return [pod["metadata"]["name"] for pod in workspace.pods() if "-checkpoints-" in pod["metadata"]["name"]]


def test_the_newest_takes_the_place_of_the_others(workspace: Workspace) -> None:
    status = searched(workspace)
    assert status["checkpointsRemoved"] == TRIALS - 1
    last = f"nas-checkpoints-{TRIALS - 1}"
    until(lambda: removals(workspace) == [last])
    made = [name for name in workspace.created("pods") if "-checkpoints-" in name]
    assert 1 < len(made) <= TRIALS // 8 + 1
    counts = [int(name.rpartition("-")[2]) for name in made]
    assert counts == sorted(counts)
    (container,) = workspace.wait_pod(last)["spec"]["containers"]
    *_, numbers = container["args"]
    best = int(status["best"]["trial"].rpartition("-")[2])
    said = {n for one in numbers.split(",") for n in _range(one)}
    assert said == {*range(TRIALS)} - {best}


def _range(text: str) -> range:
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    assert found
    return range(int(found[1]), int(found[2] or found[1]) + 1)


def test_one_that_is_refused_holds_up_nothing_and_is_told(workspace: Workspace) -> None:
    quota(workspace, **{"limits.memory": "300Mi"})
    status = searched(workspace, **resources(memory="100Mi")["spec"])
    assert status["phase"] == "Succeeded"
    assert removals(workspace) == []
    told = [event for event in workspace.events() if event["reason"] == "CheckpointsNotRemoved"]
    assert told
    assert all("exceeded quota" in event["message"] for event in told)
