"""Trainings that are promoted at a rung, also by an operator that was killed in between."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conditions import until
from tests.operator import endings
from tests.operator.harness import Workspace, experiment

if TYPE_CHECKING:
    from tests.operator.api import Object

pytestmark = pytest.mark.control_plane


def asked(pod: Object) -> Any:
    """What a pod's trainer is asked for."""
    (variable,) = (one for one in pod["spec"]["containers"][0]["env"] if one["name"] == "KUBENAS_TRIAL")
    return json.loads(variable["value"])


def test_the_best_of_a_rung_goes_on_once_whenever_the_operator_is_killed(workspace: Workspace) -> None:
    operator = workspace.operator().start().wait_ready()
    workspace.apply(
        experiment(
            search={"algorithm": "random"},
            evaluation={"epochs": 4},
            fidelity={"scheduler": "asha", "mode": "promotion", "eta": 2},
            storage={"volumeClaim": "artifacts"},
            trials={"max": 2, "parallelism": 2},
        )
    )
    begun = asked(workspace.wait_pod("nas-1-1"))
    assert (begun["candidates"][0]["epochs"], begun["candidates"][0]["horizon"]) == (1, 4)
    for number, accuracy in ((0, 0.25), (1, 0.5)):
        workspace.wait_pod(f"nas-{number}-1")
        # Neither ending is heard of before the operator is gone.
        if number == 0:
            operator.kill()
            workspace.take_lease_away()
        workspace.set_pod(f"nas-{number}-1", endings.exited(0, endings.results(accuracy=accuracy)))
    operator.start()
    further = workspace.wait_pod("nas-2-1")
    operator.kill()
    workspace.take_lease_away()
    operator.start()
    spec = workspace.trial("nas-2")["spec"]
    (candidate,) = spec["candidates"]
    assert (spec["continues"], candidate["epochs"], candidate["resumeFrom"]) == (1, 2, "nas-1/0.safetensors")
    (on,) = asked(further)["candidates"]
    assert (asked(further)["seed"], on["horizon"]) == (begun["seed"], 4)
    assert on["resumeFrom"].endswith("/nas-1/0.safetensors")
    workspace.set_pod("nas-2-1", endings.exited(0, endings.results(accuracy=0.625)))
    last = workspace.wait_pod("nas-3-1")
    assert asked(last)["candidates"][0]["resumeFrom"].endswith("/nas-2/0.safetensors")
    assert asked(last)["candidates"][0]["epochs"] == 4
    workspace.set_pod("nas-3-1", endings.exited(0, endings.results(accuracy=0.75)))
    workspace.wait_condition("Succeeded")
    status = workspace.status()
    assert (status["best"]["value"], status["best"]["trial"], status["progress"]) == (0.75, "nas-3", "4/4")
    assert status["counts"]["succeeded"] == 4
    until(lambda: len(workspace.trials()) == 4)
    assert sorted(workspace.created("pods")) == [f"nas-{number}-1" for number in range(4)]
