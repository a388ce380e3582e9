"""How the operator is reached, and how it says that it cannot begin."""

from __future__ import annotations

import json
import socket
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.cluster.conditions import until
from tests.cluster.control_plane import ControlPlane
from tests.operator.harness import PROGRAM, Workspace, experiment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.control_plane


@pytest.fixture
def reserved() -> Iterator[socket.socket]:
    """A free port of the loopback that nobody else is given; a server may listen on it."""
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        yield reservation


def port_of(reserved: socket.socket) -> int:
    port: int = reserved.getsockname()[1]
    return port


def ended(*arguments: str) -> str:
    """What an operator says that ends by itself with exit code 1, in one line."""
    done = subprocess.run(
        [PROGRAM, "operator", "--host=127.0.0.1", "--log-format=json", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    last: dict[str, str] = json.loads(done.stderr.splitlines()[-1])
    assert last["level"] == "error"
    return last["message"]


def test_it_tells_of_its_health_and_work(workspace: Workspace, reserved: socket.socket) -> None:
    operator = workspace.operator(f"--port={port_of(reserved)}").start().wait_ready()
    with workspace.control_plane.fake_pods():
        workspace.apply(experiment(trials={"max": 3}))
        workspace.wait_condition("Succeeded")
    with httpx.Client(base_url=f"http://127.0.0.1:{port_of(reserved)}", trust_env=False) as http:
        assert http.get("/healthz").text == "ok\n"
        ended = f'kubenas_experiments{{namespace="{workspace.namespace}",phase="Succeeded"}} 1.0'
        until(lambda: ended in http.get("/metrics").text)
        lines = http.get("/metrics").text.splitlines()
    assert "kubenas_leader 1.0" in lines
    assert 'kubenas_api_requests_total{code="201",verb="create"} 8.0' in lines  # 3 trials, 3 pods, 2 events
    sizes = dict(line.rsplit(" ", 1) for line in lines if line.startswith("kubenas_object_bytes_"))
    assert sizes['kubenas_object_bytes_count{kind="Pod"}'] == "3.0"
    assert float(sizes['kubenas_object_bytes_count{kind="NASTrial"}']) >= 6
    assert float(sizes['kubenas_object_bytes_bucket{kind="NASTrial",le="8192.0"}']) > 0
    assert operator.terminate() == 0


def test_a_standby_is_healthy(workspace: Workspace, reserved: socket.socket) -> None:
    workspace.operator().start().wait_ready()
    workspace.operator(f"--port={port_of(reserved)}").start()
    with httpx.Client(base_url=f"http://127.0.0.1:{port_of(reserved)}", trust_env=False) as http:

        def answers() -> bool:
            try:
                return http.get("/healthz").status_code == 200
            except httpx.ConnectError:
                return False

        until(answers)
        assert "kubenas_leader 0.0" in http.get("/metrics").text.splitlines()


def test_a_taken_port_is_named(reserved: socket.socket, workspace: Workspace) -> None:
    reserved.listen()
    said = ended(f"--kubeconfig={workspace.kubeconfig}", f"--port={port_of(reserved)}")
    assert f"cannot serve on 127.0.0.1:{port_of(reserved)}" in said
    assert said.endswith("choose another --port")


def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    said = ended(f"--kubeconfig={tmp_path / 'absent'}", "--port=0")
    assert str(tmp_path / "absent") in said
    assert "--kubeconfig" in said


def test_an_apiserver_that_does_not_answer_is_waited_for(workspace: Workspace, reserved: socket.socket) -> None:
    """It may just be starting."""
    nowhere = workspace.kubeconfig.with_suffix(".nowhere")
    server = f"https://127.0.0.1:{port_of(reserved)}"
    nowhere.write_text(workspace.kubeconfig.read_text().replace(workspace.control_plane.server, server))
    operator = workspace.operator(kubeconfig=nowhere).start()
    said = f"the lease cannot be reached: Cannot connect to host 127.0.0.1:{port_of(reserved)} "
    until(lambda: len([line for line in operator.logged() if line["message"].startswith(said)]) > 1)
    assert operator.terminate() == 0


def test_a_cluster_without_the_resources_is_told_how_to_get_them() -> None:
    with ControlPlane() as bare:
        said = ended(f"--kubeconfig={bare.kubeconfig}", "--port=0")
    assert said == (
        "NotInstalled: the cluster has no NASExperiments: install the resources with "
        "`kubectl apply --server-side -k crds`"
    )
