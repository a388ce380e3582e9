"""Trials that lose at a rung are stopped, also by an operator that was killed in between."""

from __future__ import annotations

import json
import random
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

import pytest

from kubenas.experiment.contract import METRICS_PORT
from tests.cluster.conditions import until
from tests.metrics.server import Answer, serving, whole
from tests.operator import endings
from tests.operator.harness import Workspace, experiment

if TYPE_CHECKING:
    from threading import Event

pytestmark = pytest.mark.control_plane

ACCURACIES = [0.1, 0.2, 0.3]


def addresses(count: int) -> list[str]:
    """Addresses of this machine's loopback, on which others are hardly ever listening."""
    return [f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}" for _ in range(count)]


def shown(values: dict[str, dict[int, float]], name: str) -> Answer:
    """What a pod shows at present: rungs for good, and the last step."""

    def answer(form: dict[str, str], out: BinaryIO, ended: Event) -> None:
        curve = values[name]
        lines = [
            f'kubenas_trial_rung{{candidate="0",step="{step}",metric="accuracy"}} {value}'
            for step, value in curve.items()
            if step in (1, 3)
        ]
        for step in list(curve)[-1:]:
            lines += [f'kubenas_trial_step{{candidate="0"}} {step}']
            lines += [f'kubenas_trial_value{{candidate="0",metric="accuracy"}} {curve[step]}']
        whole("".join(f"{line}\n" for line in lines).encode())(form, out, ended)

    return answer


def test_losers_are_pruned_with_their_values_and_their_pods_go(workspace: Workspace) -> None:
    operator = workspace.operator().start().wait_ready()
    workspace.apply(
        experiment(
            search={"algorithm": "random"},
            evaluation={"epochs": 9},
            fidelity={"scheduler": "asha"},
            metrics={"source": "Pod", "interval": "1s"},
            trials={"max": 3, "parallelism": 3},
        )
    )
    names = [f"nas-{number}-1" for number in range(3)]
    values: dict[str, dict[int, float]] = {name: {} for name in names}
    with ExitStack() as stack:
        for name, address in zip(names, addresses(3), strict=True):
            stack.enter_context(serving(shown(values, name), (address, METRICS_PORT)))
            workspace.set_pod(name, {**endings.running(), "podIP": address, "podIPs": [{"ip": address}]})
        values[names[0]] = {1: 0.1}
        workspace.wait_condition("MetricsAvailable")
        operator.kill()
        workspace.take_lease_away()
        assert {trial.get("status", {}).get("phase") for trial in workspace.trials()} <= {None, "Pending", "Running"}
        # All of this comes at once to the next operator, which has seen nothing of it.
        for name, accuracy in zip(names, ACCURACIES, strict=True):
            values[name] = {1: accuracy, 2: accuracy / 2}
        operator.start()
        workspace.wait_trial("nas-0", lambda status: status.get("phase") == "Pruned")
        operator.kill()
        workspace.take_lease_away()
        operator.start()
        until(lambda: [pod["metadata"]["name"] for pod in workspace.pods()] == names[2:])
        for number, accuracy in enumerate(ACCURACIES[:2]):
            status = workspace.wait_trial(f"nas-{number}", lambda status: status.get("phase") == "Pruned")
            (finished,), (result,) = status["conditions"], status["results"]
            assert finished["reason"] == "StoppedEarly"
            assert "candidates were better after 1 epochs" in finished["message"]
            assert (result["step"], result["source"]) == (2, "Pod")
            assert result["metrics"] == [{"name": "accuracy", "value": accuracy / 2}]
            assert status["failures"] == 0
        workspace.set_pod(names[2], endings.exited(0, endings.results(accuracy=0.5)))
        workspace.wait_condition("Succeeded")
    counts = workspace.status()["counts"]
    assert {phase: counts[phase] for phase in ("succeeded", "pruned", "failed")} == {
        "succeeded": 1,
        "pruned": 2,
        "failed": 0,
    }
    assert workspace.status()["best"]["value"] == 0.5
    assert sorted(workspace.created("pods")) == names


def test_a_pod_of_several_candidates_is_told_which_is_stopped(workspace: Workspace) -> None:
    workspace.operator().start().wait_ready()
    workspace.apply(
        experiment(
            search={"algorithm": "random"},
            evaluation={"epochs": 9},
            fidelity={"scheduler": "asha", "eta": 2},
            metrics={"source": "Pod", "interval": "1s"},
            trials={"max": 1, "candidatesPerTrial": 2},
        )
    )
    lines = [
        f'kubenas_trial_rung{{candidate="{candidate}",step="1",metric="accuracy"}} {value}'
        for candidate, value in (("0", 0.5), ("1", 0.25))
    ]
    pod = workspace.wait_pod("nas-0-1")
    variables = {one["name"]: one for one in pod["spec"]["containers"][0]["env"]}
    token = variables["KUBENAS_STOP_TOKEN"]["value"]
    assert len(token) == 64
    (address,) = addresses(1)
    with serving(whole("".join(f"{line}\n" for line in lines).encode()), (address, METRICS_PORT)) as server:
        workspace.set_pod("nas-0-1", {**endings.running(), "podIP": address, "podIPs": [{"ip": address}]})
        until(lambda: {"token": token, "candidates": "1"} in server.forms)
        status = workspace.wait_trial("nas-0", lambda status: bool(status.get("stoppedCandidates")))
        (stopped,) = status["stoppedCandidates"]
        assert (stopped["candidate"], stopped["epoch"]) == ("1", 1)
        assert "of 2 candidates were better after 1 epochs" in stopped["message"]
        results = [
            {"candidate": "0", "step": 9, "metrics": {"accuracy": 0.75}},
            {"candidate": "1", "step": 2, "metrics": {"accuracy": 0.875}},
        ]
        workspace.set_pod("nas-0-1", endings.exited(0, json.dumps({"results": results})))
        workspace.wait_condition("Succeeded")
    assert sum(bool(form) for form in server.forms) == 1, "it is told once, as it has heard"
    assert workspace.trial("nas-0")["status"]["value"] == 0.75
    assert workspace.status()["best"]["value"] == 0.75
