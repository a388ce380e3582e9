"""A thousand candidates scored by one pod: read from the pod itself, and kept where it dies."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubenas.experiment.bounds import OBJECT_BYTES
from kubenas.experiment.contract import METRICS_PORT
from kubenas.space.packing import unpack
from tests.cluster.conditions import until
from tests.local import batch_trainer
from tests.operator import endings
from tests.operator.harness import Workspace, experiment

if TYPE_CHECKING:
    from tests.operator.api import Object

pytestmark = [pytest.mark.control_plane, pytest.mark.usefixtures("operator")]

BATCH = 1000


def batch(**trials: object) -> Object:
    """An experiment of one trial; nothing of it is in a Prometheus."""
    return experiment(
        task={"name": "mine"},
        search={"algorithm": "random"},
        evaluation={"method": "zero-cost"},
        metrics={"source": "Prometheus", "interval": "1s"},
        trials={"max": 1, "candidatesPerTrial": BATCH, **trials},
    )


@contextmanager
def port_of_its_own() -> Iterator[None]:
    """Wait for the one port that pods have; no other run of these tests takes it meanwhile."""
    with (Path(tempfile.gettempdir()) / f"kubenas-test-port-{METRICS_PORT}").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        until(port_is_free)
        yield


def port_is_free() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("::", METRICS_PORT))
            probe.listen()
            return True
    return False


@contextmanager
def trainer(pod: Object, folder: Path, *, fatal: str = "", wrong: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """The pod's program as a process of this machine, which the operator reaches at 127.0.0.1."""
    (folder / "fatal").write_text(fatal)
    (folder / "wrong").write_text(wrong)
    variables = {one["name"]: one["value"].replace("$$", "$") for one in pod["spec"]["containers"][0]["env"]}
    own = {"TEST_FOLDER": str(folder), "KUBENAS_TERMINATION_LOG": str(folder / "message")}
    (folder / "message").unlink(missing_ok=True)
    command = ["setpriv", "--pdeathsig=KILL", "--", sys.executable, batch_trainer.__file__]
    path = os.pathsep.join(sys.path)
    environment = {**os.environ, **variables, **own, "PYTHONPATH": path}
    with port_of_its_own(), subprocess.Popen(command, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def show(workspace: Workspace, pod: str) -> None:
    """Say that a pod runs, and where."""
    workspace.set_pod(pod, {**endings.running(), "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]})


def test_a_thousand_candidates_are_scored_by_one_pod(workspace: Workspace, tmp_path: Path) -> None:
    workspace.apply(batch())
    pod = workspace.wait_pod("nas-0-1")
    assert [port["name"] for port in pod["spec"]["containers"][0]["ports"]] == ["results"], "Prometheus takes `metrics`"
    with trainer(pod, tmp_path, wrong="7 500") as process:
        show(workspace, "nas-0-1")
        assert process.wait() == 0
    message = (tmp_path / "message").read_text()
    assert len(message) < 4096
    workspace.set_pod("nas-0-1", endings.exited(0, message))
    workspace.wait_condition("Succeeded")
    trial = workspace.trial("nas-0")
    status = trial["status"]
    assert status["phase"] == "Succeeded"
    assert {one["candidate"] for one in status["results"]} == {str(n) for n in range(BATCH)} - {"7", "500"}
    assert {len(one["metrics"]) for one in status["results"]} == {14}
    assert [(one["candidate"], one["reason"]) for one in status["failedCandidates"]] == [
        ("7", "OutOfMemory"),
        ("500", "OutOfMemory"),
    ]
    assert len(json.dumps(trial, separators=(",", ":"))) < OBJECT_BYTES
    assert len(json.dumps(workspace.experiment(), separators=(",", ":"))) < 16_000
    values = [m["value"] for one in status["results"] for m in one["metrics"] if m["name"] == "accuracy"]
    assert workspace.status()["best"]["value"] == max(values)


def test_what_a_pod_has_shown_is_kept_when_it_dies(workspace: Workspace, tmp_path: Path) -> None:
    workspace.apply(batch(retries=1))
    scored = tmp_path / "nas-0-1"
    with trainer(workspace.wait_pod("nas-0-1"), tmp_path, fatal="600") as process:
        until(lambda: scored.exists() and scored.read_text().endswith("600\n"))
        # Only now, so that a reading has all that was scored.
        show(workspace, "nas-0-1")
        workspace.wait_condition("MetricsAvailable")
        process.kill()
    workspace.set_pod("nas-0-1", endings.exited(137, ""))
    pod = workspace.wait_pod("nas-0-2")
    kept = workspace.trial("nas-0")["status"]
    assert len(kept["results"]) == 600
    variables = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    asked = [*unpack(json.loads(variables["KUBENAS_TRIAL"])["candidates"]["packed"])]
    assert asked == [*map(str, range(601, BATCH)), "600"]
    with trainer(pod, tmp_path) as process:
        show(workspace, "nas-0-2")
        assert process.wait() == 0
    workspace.set_pod("nas-0-2", endings.exited(0, (tmp_path / "message").read_text()))
    workspace.wait_condition("Succeeded")
    status = workspace.trial("nas-0")["status"]
    assert {one["candidate"] for one in status["results"]} == {str(n) for n in range(BATCH)}
    assert (status["phase"], status["failures"]) == ("Succeeded", 1)
