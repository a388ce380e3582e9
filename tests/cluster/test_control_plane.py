from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cluster.conditions import processes_of, until
from tests.cluster.control_plane import REPOSITORY, ControlPlane
from tests.cluster.fake_pods import Ending, Trial, accuracy, drawn

pytestmark = pytest.mark.control_plane

HOLDER = """
import sys
from tests.cluster.control_plane import ControlPlane
with ControlPlane() as running:
    print(running.folder, running.server, flush=True)
    sys.stdin.read()
"""


def refuses_connections(port: int | None) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def trial_pod(name: str, architecture: object) -> str:
    trial = {"trial": name, "candidates": [{"id": "0", "architecture": architecture, "epochs": 3}]}
    container = {
        "name": "trial",
        "image": "localhost/none",
        "env": [{"name": "KUBENAS_TRIAL", "value": json.dumps(trial)}],
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"kubenas.io/trial": name}},
            "spec": {"schedulerName": "nobody", "restartPolicy": "Never", "containers": [container]},
        }
    )


def test_it_serves_the_api_and_makes_an_administrator_of_its_user(control_plane: ControlPlane) -> None:
    assert json.loads(control_plane.kubectl("version", "--output=json"))["serverVersion"]["major"] == "1"
    assert control_plane.kubectl("auth", "can-i", "*", "*").strip() == "yes"


def test_kubectl_failing_says_why(control_plane: ControlPlane) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        control_plane.kubectl("get", "pod", "absent")
    assert 'pods "absent" not found' in failure.value.__notes__[0]


def test_who_has_no_role_may_do_nothing(control_plane: ControlPlane, namespace: str) -> None:
    jane = control_plane.identity("jane", ["testers"])
    as_jane = (f"--namespace={namespace}", f"--kubeconfig={jane}")
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        control_plane.kubectl("get", "pods", *as_jane)
    assert 'User "jane" cannot list resource "pods"' in refusal.value.stderr
    control_plane.kubectl(
        "create", "rolebinding", "testers", "--clusterrole=view", "--group=testers", f"--namespace={namespace}"
    )
    until(lambda: control_plane.kubectl("auth", "can-i", "list", "pods", *as_jane, check=False).strip() == "yes")
    control_plane.kubectl("get", "pods", *as_jane)


def test_a_service_account_acts_by_its_token(control_plane: ControlPlane, namespace: str) -> None:
    account = control_plane.service_account(namespace, "default")
    whoami = control_plane.run("kubectl", "auth", "whoami", f"--kubeconfig={account}", "--output=json")
    assert json.loads(whoami)["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"


def test_every_answered_request_is_in_the_audit_log_once(control_plane: ControlPlane, namespace: str) -> None:
    user = control_plane.identity("counted", ["system:masters"])
    for number in range(3):
        name = f"counted-{number}"
        control_plane.run("kubectl", "create", "configmap", name, f"--namespace={namespace}", f"--kubeconfig={user}")
    requests = [json.loads(line) for line in control_plane.audit_log.read_text().splitlines()]
    created = [
        request["objectRef"]["name"]
        for request in requests
        if request["user"]["username"] == "counted" and request["verb"] == "create"
    ]
    assert created == ["counted-0", "counted-1", "counted-2"]


def test_what_an_owner_leaves_is_collected(control_plane: ControlPlane, namespace: str) -> None:
    within = f"--namespace={namespace}"
    control_plane.kubectl("create", "configmap", "owner", within)
    uid = control_plane.kubectl("get", "configmap", "owner", within, "--output=jsonpath={.metadata.uid}")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    pod = json.loads(trial_pod("owned", 1))
    pod["metadata"]["ownerReferences"] = [owner]
    control_plane.kubectl("create", "--filename=-", within, stdin=json.dumps(pod))
    control_plane.kubectl("delete", "configmap", "owner", within)
    control_plane.kubectl("wait", "--for=delete", "pod/owned", within, "--timeout=120s")


def out_of_memory(_: Trial) -> Ending:
    return Ending(exit_code=137, reason="OOMKilled")


def test_fake_pods_end_with_what_their_trial_determines(control_plane: ControlPlane, namespace: str) -> None:
    within = f"--namespace={namespace}"
    with control_plane.fake_pods():
        control_plane.kubectl("create", "--filename=-", within, stdin=trial_pod("one", [1, 2]))
        control_plane.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/one", within, "--timeout=120s")
    status = json.loads(control_plane.kubectl("get", "pod", "one", within, "--output=json"))["status"]
    message = json.loads(status["containerStatuses"][0]["state"]["terminated"]["message"])
    assert message == {"results": [{"candidate": "0", "step": 3, "metrics": {"accuracy": drawn([1, 2])}}]}


def test_fake_pods_run_for_as_long_as_they_are_told(control_plane: ControlPlane, namespace: str) -> None:
    within = f"--namespace={namespace}"
    with control_plane.fake_pods(accuracy, seconds=3600):
        control_plane.kubectl("create", "--filename=-", within, stdin=trial_pod("long", 1))
        control_plane.kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/long", within, "--timeout=120s")
        control_plane.kubectl("delete", "pod", "long", within)  # without a node nobody has to confirm it


def test_fake_pods_fail_as_their_outcome_says(control_plane: ControlPlane, namespace: str) -> None:
    within = f"--namespace={namespace}"
    control_plane.kubectl("create", "--filename=-", within, stdin=trial_pod("greedy", 1))
    with control_plane.fake_pods(out_of_memory):
        control_plane.kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/greedy", within, "--timeout=120s")
    reason = "--output=jsonpath={.status.containerStatuses[0].state.terminated.reason}"
    assert control_plane.kubectl("get", "pod", "greedy", within, reason) == "OOMKilled"


def test_a_program_that_cannot_start_is_named_with_its_last_words() -> None:
    with (
        pytest.raises(RuntimeError, match=r"kube-controller-manager ended with status 1:[^$]*unknown flag: --absent"),
        ControlPlane(controller_manager_flags=["--absent"]),
    ):
        pass


def test_a_second_one_beside_it_and_killed_leaves_nothing(control_plane: ControlPlane) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    folder, server = holder.stdout.readline().split()
    assert Path(folder) != control_plane.folder
    assert server != control_plane.server
    assert processes_of(Path(folder))

    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    until(lambda: not processes_of(Path(folder)))
    assert folder not in Path("/proc/self/mountinfo").read_text()
    until(lambda: refuses_connections(urlsplit(server).port))
    with ControlPlane():
        assert not Path(folder).exists(), "the next start removes what a killed one left on disk"
    assert control_plane.kubectl("get", "--raw=/readyz") == "ok"
