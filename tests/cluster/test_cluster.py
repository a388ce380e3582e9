from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import images
from tests.cluster.cluster import NODES, Cluster
from tests.cluster.conditions import processes_of, until
from tests.cluster.control_plane import REPOSITORY
from tests.cluster.run_folder import is_held

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.node

HOLDER = """
import sys
from tests.cluster.cluster import Cluster
with Cluster(()) as running:
    running.kubectl("create", "--filename=-", stdin=sys.argv[1])
    running.kubectl("wait", "--for=condition=Ready", "pod/sleeper", "--timeout=120s")
    print(running.folder, flush=True)
    sys.stdin.read()
"""
GREEDY = "memory = bytearray(256 * 2**20)"
CLIENT = """
import time, urllib.request
for name in ("server", "server.{namespace}", "server.{namespace}.svc.cluster.local"):
    while True:  # Services take effect a moment after they are made
        try:
            answer = urllib.request.urlopen(f"http://{{name}}/greeting").read().decode()
            break
        except OSError:
            time.sleep(0.1)
with open("/dev/termination-log", "w") as message:
    message.write(answer)
"""
SERVER = """
import http.server, pathlib
pathlib.Path("/tmp/greeting").write_text("hello")
handler = lambda *connection: http.server.SimpleHTTPRequestHandler(*connection, directory="/tmp")
print("serving", flush=True)
http.server.HTTPServer(("", 8080), handler).serve_forever()
"""


def pod(name: str, *command: str, gpus: int = 0, image: str | None = None, node: str | None = None) -> dict[str, Any]:
    """A pod that the restricted security standard allows."""
    container = {
        "name": "main",
        "image": image or images.BASE,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "resources": {"limits": {"memory": "64Mi", "nvidia.com/gpu": str(gpus)}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": {"kubernetes.io/hostname": node} if node else {},
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


class Workspace:
    """A namespace of the cluster that enforces the restricted standard, with shorthands for its pods."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl(f"--namespace={self.name}", *arguments, stdin=stdin)

    def create(self, resource: dict[str, Any]) -> None:
        self.kubectl("create", "--filename=-", stdin=json.dumps(resource))

    def wait(self, pod: str, condition: str) -> None:
        self.kubectl("wait", f"pod/{pod}", f"--for={condition}", "--timeout=120s")

    def status(self, pod: str) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.kubectl("get", "pod", pod, "--output=json"))["status"]
        return status

    def terminated(self, pod: str) -> dict[str, Any]:
        ended: dict[str, Any] = self.status(pod)["containerStatuses"][0]["state"]["terminated"]
        return ended


@pytest.fixture
def workspace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Workspace]:
    name = request.node.name.replace("_", "-")[:63].rstrip("-")
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    cluster.wait_for_service_account(name)
    workspace = Workspace(cluster, name)
    yield workspace
    workspace.kubectl("delete", "pods", "--all")  # the next test gets all GPUs
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def test_two_nodes_have_two_gpus_each(cluster: Cluster) -> None:
    nodes = json.loads(cluster.kubectl("get", "nodes", "--output=json"))["items"]
    assert {node["metadata"]["name"]: node["status"]["allocatable"]["nvidia.com/gpu"] for node in nodes} == {
        "node-1": "2",
        "node-2": "2",
    }


def test_no_more_pods_run_than_there_are_gpus(workspace: Workspace) -> None:
    names = [f"trial-{number}" for number in range(5)]
    for name in names:
        workspace.create(pod(name, "sleep", "infinity", gpus=1))
    for name in names[:4]:
        workspace.wait(name, "condition=Ready")
    workspace.wait("trial-4", "condition=PodScheduled=False")
    message = workspace.status("trial-4")["conditions"][0]["message"]
    assert "2 Insufficient nvidia.com/gpu" in message
    workspace.kubectl("delete", "pod", "trial-0")
    workspace.wait("trial-4", "condition=Ready")


def test_a_pod_that_takes_more_memory_than_its_limit_is_killed(workspace: Workspace) -> None:
    workspace.create(pod("greedy", "python3", "-c", GREEDY))
    workspace.wait("greedy", "jsonpath={.status.phase}=Failed")
    assert workspace.terminated("greedy")["reason"] == "OOMKilled"


def test_an_image_that_nobody_has_is_said_to_be_missing(workspace: Workspace) -> None:
    workspace.create(pod("absent", "true", image="localhost/absent:test"))
    waiting = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    until(
        lambda: workspace.kubectl("get", "pod", "absent", f"--output={waiting}") in ("ErrImagePull", "ImagePullBackOff")
    )


def test_pods_meet_by_a_service_across_nodes(workspace: Workspace) -> None:
    workspace.create(pod("server", "python3", "-c", SERVER, node="node-1"))
    workspace.kubectl("create", "service", "clusterip", "server", "--tcp=80:8080")
    workspace.wait("server", "condition=Ready")
    for node in NODES:
        client = f"client-of-{node}"
        workspace.create(pod(client, "python3", "-c", CLIENT.format(namespace=workspace.name), node=node))
        workspace.wait(client, "jsonpath={.status.phase}=Succeeded")
        assert workspace.terminated(client)["message"] == "hello"
    assert workspace.kubectl("logs", "server").startswith("serving\n")
    assert workspace.kubectl("exec", "server", "--", "cat", "/tmp/greeting") == "hello"


def test_what_ran_on_a_lost_node_is_disrupted_and_gone_when_it_is_back(workspace: Workspace) -> None:
    workspace.create(pod("lost", "sleep", "infinity", node="node-2", gpus=1))
    workspace.wait("lost", "condition=Ready")
    workspace.cluster.stop_node("node-2")
    try:
        workspace.wait("lost", "condition=DisruptionTarget")
    finally:
        workspace.cluster.start_node("node-2")
    workspace.wait("lost", "delete")
    workspace.create(pod("next", "sleep", "infinity", node="node-2", gpus=2))
    workspace.wait("next", "condition=Ready")


def test_each_nodes_logs_outlast_the_others_removal_of_orphans(workspace: Workspace) -> None:
    """Once a minute a kubelet removes the logs of pods that it does not know."""
    for node in NODES:
        workspace.create(pod(node, "sh", "-c", "echo $HOSTNAME speaks; sleep infinity", node=node))
    orphans = [node.pod_logs / f"{workspace.name}_orphan_{node.name}" for node in workspace.cluster.nodes.values()]
    for node, orphan in zip(NODES, orphans, strict=True):
        workspace.wait(node, "condition=Ready")
        orphan.mkdir()
    until(lambda: not any(orphan.exists() for orphan in orphans))
    assert [workspace.kubectl("logs", node) for node in NODES] == [f"{node} speaks\n" for node in NODES]


def test_a_second_cluster_killed_leaves_nothing(cluster: Cluster) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, json.dumps(pod("sleeper", "sleep", "infinity", gpus=1))],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        assert processes_of(folder)
        assert cgroups_of(folder)
        os.kill(holder.pid, signal.SIGKILL)
    # a process that ends has no command line any more before its files are closed
    until(lambda: not processes_of(folder) and not is_held(folder))
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()
    with Cluster(()):
        assert not folder.exists(), "the next start removes what a killed one left on disk"
        assert not cgroups_of(folder)
    assert cluster.kubectl("get", "--raw=/readyz") == "ok"
    assert not [path for path in Path("/var").rglob("*") if "sleeper" in path.name], "its logs were its node's alone"


def cgroups_of(folder: Path) -> list[Path]:
    return [group for group in Path("/sys/fs/cgroup").rglob(f"kubenas-{folder.name}") if group.is_dir()]
