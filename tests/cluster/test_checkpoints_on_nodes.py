"""Whatever takes a trial's pod or its storage away, the weights end as those of a training that nothing disturbed.

Each test trains the same network with the same seed, in a pod that is disturbed in the middle of an epoch.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from kubenas.api.queue import PRIORITY_LABEL, QUEUE_LABEL
from kubenas_trial import checkpoint
from kubenas_trial.checkpoint import Checkpoint
from tests.cluster import kueue_controller
from tests.cluster.cluster import CONTROL_PLANE, Cluster
from tests.cluster.conditions import until
from tests.cluster.control_plane import REPOSITORY
from tests.cluster.images import BASE, TRIAL
from tests.cluster.installed import OPERATOR_NAMESPACE, digits, get, search_namespace, shared_claim
from tests.trial.s3 import BUCKET, OPEN, server

pytestmark = pytest.mark.node

PAGE = REPOSITORY / "docs" / "checkpoints.md"
NAMESPACE = "checkpoints"
WHERE = f"--namespace={NAMESPACE}"
# Long ones, so that most checkpoints are within one.
EPOCHS = 4
BATCH = 8
BUCKET_PORT = 9000
BUCKET_URL = f"http://{CONTROL_PLANE}:{BUCKET_PORT}"


@pytest.fixture(scope="module")
def kubenas(installed_cluster: Cluster) -> Iterator[Cluster]:
    search_namespace(installed_cluster, NAMESPACE)
    yield installed_cluster
    installed_cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="module")
def claim(kubenas: Cluster) -> Iterator[str]:
    with shared_claim(kubenas, NAMESPACE) as name:
        yield name


def apply(kubenas: Cluster, name: str, storage: dict[str, Any], spec: dict[str, Any] | None = None, **pod: Any) -> None:
    """Train one network, with checkpoints once a second, by pods as `pod` says; `spec` is more of the experiment."""
    document = digits(
        name,
        evaluation={"epochs": EPOCHS},
        trials={"max": 1, "retries": 0},
        storage={**storage, "checkpointEvery": "1s"},
        trialTemplate={"spec": pod},
        **(spec or {}),
    )
    document["spec"]["task"]["settings"]["batchSize"] = BATCH
    kubenas.kubectl("apply", WHERE, "--filename=-", stdin=json.dumps(document))


def folder_of(kubenas: Cluster, name: str) -> Path:
    """Where the checkpoints of an experiment's trial are on its volume, from the volume's root."""
    uid = get(kubenas, f"nas/{name}", WHERE)["metadata"]["uid"]
    return Path(f"{name}-{uid[:8]}", f"{name}-0")


def begun(folder: Path) -> None:
    """Wait until there is a checkpoint."""
    until(lambda: [*folder.glob("0.*.safetensors")], 300)


def position(state: Checkpoint) -> tuple[int, int]:
    """Epochs, and examples of the next one, that were trained."""
    return state.step, state.examples


def newest(folder: Path) -> tuple[int, int]:
    """The position of the last checkpoint."""
    return position(checkpoint.load(folder / "0.safetensors"))


def weights(state: Checkpoint) -> str:
    """A hash of what the training has come to: the network's weights and the optimizer's state."""
    digest = sha256()
    for name, tensor in sorted(state.model.items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    for index, values in sorted(state.optimizer["state"].items()):
        for name, value in sorted(values.items()):
            digest.update(f"{index}.{name}".encode() + (value.numpy().tobytes() if hasattr(value, "numpy") else b""))
    return digest.hexdigest()


def resumed(kubenas: Cluster, name: str, attempt: int = 2) -> tuple[int, int]:
    """Wait until an attempt says from which position it goes on."""

    def said() -> re.Match[str] | None:
        log = kubenas.kubectl("logs", WHERE, f"{name}-0-{attempt}", check=False)
        return re.search(r"goes on from epoch (\d+), example (\d+)", log)

    found = until(said, 300)
    return int(found[1]), int(found[2])


def ended(kubenas: Cluster, name: str, attempts: int = 2) -> None:
    """Wait for the experiment's end; its trial has had so many attempts, and none has failed."""
    kubenas.kubectl("wait", WHERE, "--for=condition=Succeeded", f"nas/{name}", "--timeout=300s")
    status = get(kubenas, f"nastrial/{name}-0", WHERE)["status"]
    assert (status["phase"], status["attempt"], status.get("failures", 0)) == ("Succeeded", attempts, 0), status
    assert status.get("lastFailure") is None
    assert status["results"][0]["step"] == EPOCHS


def evict(kubenas: Cluster, name: str, grace: int | None = None) -> None:
    """Evict the first attempt's pod, by the API that drains nodes."""
    pod = f"{name}-0-1"
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": NAMESPACE},
        **({} if grace is None else {"deleteOptions": {"gracePeriodSeconds": grace}}),
    }
    raw = f"--raw=/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    kubenas.kubectl("create", raw, "--filename=-", stdin=json.dumps(body))


def gone(kubenas: Cluster, pod: str) -> None:
    kubenas.kubectl("wait", WHERE, f"pod/{pod}", "--for=delete", "--timeout=120s", check=False)


@pytest.fixture(scope="module")
def undisturbed(kubenas: Cluster, claim: str) -> str:
    """The weights of a training that nothing has disturbed."""
    apply(kubenas, "undisturbed", {"volumeClaim": claim})
    ended(kubenas, "undisturbed", attempts=1)
    state = checkpoint.load(kubenas.folder / claim / folder_of(kubenas, "undisturbed") / "0.safetensors")
    assert position(state) == (EPOCHS, 0)
    return weights(state)


@pytest.fixture
def queue(kubenas: Cluster) -> str:
    """A queue of Kueue's real controller that has one GPU, which goes to who is `urgent`; it stays with the cluster."""
    kueue_controller.start(kubenas)
    kueue_controller.quota(kubenas, NAMESPACE, "gpus", 1, preempts=True)
    kueue_controller.priorities(kubenas, patient=1, urgent=2)
    return "gpus"


@contextmanager
def urgent(kubenas: Cluster, queue: str) -> Iterator[None]:
    """Somebody else's pod has the GPU of the queue meanwhile."""
    labels = {QUEUE_LABEL: queue, PRIORITY_LABEL: "urgent"}
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "urgent",
        "image": BASE,
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
        "securityContext": security,
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "urgent", "labels": labels},
        "spec": {
            "containers": [container],
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "terminationGracePeriodSeconds": 0,
        },
    }
    kubenas.kubectl("create", WHERE, "--filename=-", stdin=json.dumps(pod))
    kubenas.kubectl("wait", WHERE, "pod/urgent", "--for=condition=Ready", "--timeout=120s")
    try:
        yield
    finally:
        kubenas.kubectl("delete", WHERE, "pod/urgent", "--wait=false")


def test_evicted_and_preempted(kubenas: Cluster, claim: str, queue: str, undisturbed: str) -> None:
    """By the API that drains nodes; then by the queue, for a higher priority."""
    spec = {"queueName": queue, "workloadPriorityClass": "patient"}
    apply(kubenas, "evicted", {"volumeClaim": claim}, spec)
    folder = kubenas.folder / claim / folder_of(kubenas, "evicted")
    begun(folder)
    before = newest(folder)
    evict(kubenas, "evicted")
    before = max(before, resumed(kubenas, "evicted"))
    assert before < (EPOCHS, 0)
    with urgent(kubenas, queue):
        until(lambda: get(kubenas, "nastrial/evicted-0", WHERE)["status"]["phase"] == "Queued")
        left = newest(folder)
        assert before <= left < (EPOCHS, 0)
    assert resumed(kubenas, "evicted", attempt=3) == left
    ended(kubenas, "evicted", attempts=3)
    assert weights(checkpoint.load(folder / "0.safetensors")) == undisturbed


def test_node_drained(kubenas: Cluster, claim: str, undisturbed: str) -> None:
    """With all that is on it; the operator too, where it is there."""
    apply(kubenas, "drained", {"volumeClaim": claim})
    folder = kubenas.folder / claim / folder_of(kubenas, "drained")
    begun(folder)
    node = get(kubenas, "pod/drained-0-1", WHERE)["spec"]["nodeName"]
    try:
        kubenas.kubectl("drain", node, "--force", "--delete-emptydir-data", "--timeout=180s")
        assert resumed(kubenas, "drained") < (EPOCHS, 0)
        assert get(kubenas, "pod/drained-0-2", WHERE)["spec"]["nodeName"] != node
        ended(kubenas, "drained")
    finally:
        kubenas.kubectl("uncordon", node)
    assert weights(checkpoint.load(folder / "0.safetensors")) == undisturbed


def trainer(name: str) -> int:
    """The process that trains in the first attempt's pod, as this machine numbers it."""
    wanted = f"KUBENAS_CHECKPOINT_DIR=/checkpoints/{name}-0".encode()
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in file.read_bytes().split(b"\0"):
                return int(file.parent.name)
    raise AssertionError(f"no process trains {name}")


def stop_while_it_writes(process: int, folder: Path) -> None:
    """Stop a trainer between the beginning and the end of a checkpoint."""
    while True:
        while not any(folder.glob(".unfinished-*")):
            os.kill(process, 0)
        os.kill(process, signal.SIGSTOP)
        until(lambda: Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        if any(folder.glob(".unfinished-*")):
            return
        os.kill(process, signal.SIGCONT)


def test_killed_while_it_writes(kubenas: Cluster, claim: str, undisturbed: str) -> None:
    """Evicted while it is stopped there, it does not hear SIGTERM, and gets SIGKILL."""
    apply(kubenas, "torn", {"volumeClaim": claim}, terminationGracePeriodSeconds=1)
    folder = kubenas.folder / claim / folder_of(kubenas, "torn")
    begun(folder)
    stop_while_it_writes(trainer("torn"), folder)
    last = newest(folder)
    evict(kubenas, "torn")
    assert resumed(kubenas, "torn") == last
    ended(kubenas, "torn")
    assert weights(checkpoint.load(folder / "0.safetensors")) == undisturbed
    assert not [*folder.glob(".unfinished-*")], "what was torn is removed"


def fill(disk: Path) -> Path:
    """A file that leaves no room on a disk."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return filler


def test_disk_full(kubenas: Cluster, undisturbed: str) -> None:
    """Where none can be written when the pod is evicted, the next attempt goes on from the last that could be."""
    with shared_claim(kubenas, NAMESPACE, "small") as claim:
        node = kubenas.nodes["node-1"]
        node.mount_small_disk(kubenas.folder / claim)
        disk = node.root / str(kubenas.folder / claim).removeprefix("/")
        apply(kubenas, "full", {"volumeClaim": claim}, nodeSelector={"kubernetes.io/hostname": "node-1"})
        folder = disk / folder_of(kubenas, "full")
        begun(folder)
        filler = fill(disk)
        evict(kubenas, "full")
        gone(kubenas, "full-0-1")
        last = newest(folder)
        assert resumed(kubenas, "full") == last
        until(lambda: "has no room left" in kubenas.kubectl("logs", WHERE, "full-0-2", check=False))
        filler.unlink()
        ended(kubenas, "full")
        assert weights(checkpoint.load(folder / "0.safetensors")) == undisturbed


@pytest.fixture(scope="module")
def bucket(kubenas: Cluster) -> Iterator[dict[str, str]]:
    """An S3 server that pods can reach: the variables of the Secret `artifacts`, which is there."""
    with_path = ["env", f"PYTHONPATH={REPOSITORY}"]
    kubenas.start("s3", [*with_path, *(f"{k}={v}" for k, v in OPEN.items()), *server(CONTROL_PLANE, BUCKET_PORT)])
    variables = json.loads(kubenas.run(*with_path, sys.executable, "-m", "tests.trial.s3", BUCKET_URL))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "artifacts"}, "stringData": variables}
    kubenas.kubectl("create", WHERE, "--filename=-", stdin=json.dumps(secret))
    yield variables
    kubenas.stop("s3")


COPY = """
import shutil, sys
from kubenas_trial.storage.checkpoints import CheckpointStore
CheckpointStore(sys.argv[1]).load(lambda path: shutil.copy(path, sys.argv[2]))
"""


def fetched(kubenas: Cluster, variables: dict[str, str], url: str, to: Path) -> Checkpoint | None:
    """The newest checkpoint below a URL that only the cluster can reach; None where there is none."""
    values = [f"{name}={value}" for name, value in variables.items()]
    to.unlink(missing_ok=True)
    kubenas.run("env", *values, sys.executable, "-c", COPY, f"{url}/0.safetensors", str(to))
    return checkpoint.load(to) if to.exists() else None


@contextmanager
def unreachable(kubenas: Cluster, port: int) -> Iterator[None]:
    """Nothing gets to a port of the control plane meanwhile."""
    match = ("--protocol", "tcp", "--dport", str(port))
    rule = ("INPUT", *match, "--jump", "REJECT", "--reject-with", "tcp-reset")
    kubenas.run("iptables", "--wait", "--insert", *rule)
    try:
        yield
    finally:
        kubenas.run("iptables", "--wait", "--delete", *rule)


def test_bucket_unreachable(kubenas: Cluster, bucket: dict[str, str], undisturbed: str, tmp_path: Path) -> None:
    """For all of the minute that an evicted pod has left, and until the next attempt asks for a checkpoint.

    Nobody is told the credentials meanwhile.
    """
    apply(kubenas, "away", {"url": f"s3://{BUCKET}/nas", "secret": "artifacts"})
    url = f"s3://{BUCKET}/nas/{folder_of(kubenas, 'away')}"
    until(lambda: fetched(kubenas, bucket, url, tmp_path / "before"), 300)

    def tries(attempt: int) -> int:
        return kubenas.kubectl("logs", WHERE, f"away-0-{attempt}", check=False).count("cannot be reached, tried again")

    with unreachable(kubenas, BUCKET_PORT):
        until(lambda: tries(1))
        evict(kubenas, "away")
        logs = kubenas.kubectl("logs", WHERE, "away-0-1", "--follow", check=False)
        until(lambda: tries(2), 180)
    before = checkpoint.load(tmp_path / "before")
    assert position(before) <= resumed(kubenas, "away") < (EPOCHS, 0)
    logs += kubenas.kubectl("logs", WHERE, "away-0-2", check=False)
    ended(kubenas, "away")
    state = fetched(kubenas, bucket, url, tmp_path / "after")
    assert state is not None
    assert weights(state) == undisturbed
    logs += kubenas.kubectl(
        "logs", f"--namespace={OPERATOR_NAMESPACE}", "deployment/kubenas-operator", "--all-pods=true"
    )
    logs += kubenas.kubectl("get", WHERE, "nas,nastrials,pods,events", "--output=yaml")
    assert bucket["AWS_SECRET_ACCESS_KEY"] not in logs


def test_node_lost(kubenas: Cluster, claim: str, undisturbed: str) -> None:
    """Kubelet and containers are gone at once."""
    apply(kubenas, "lost", {"volumeClaim": claim}, terminationGracePeriodSeconds=1)
    folder = kubenas.folder / claim / folder_of(kubenas, "lost")
    begun(folder)
    node = get(kubenas, "pod/lost-0-1", WHERE)["spec"]["nodeName"]
    kubenas.stop_node(node)
    try:
        last = newest(folder)
        assert resumed(kubenas, "lost") == last
        ended(kubenas, "lost")
    finally:
        kubenas.start_node(node)
    assert weights(checkpoint.load(folder / "0.safetensors")) == undisturbed


def test_node_restarted(kubenas: Cluster, claim: str, undisturbed: str) -> None:
    """So fast that nobody misses it: its kubelet finds the container dead, and may not admit the pod again."""
    apply(kubenas, "restarted", {"volumeClaim": claim})
    folder = kubenas.folder / claim / folder_of(kubenas, "restarted")
    begun(folder)
    node = get(kubenas, "pod/restarted-0-1", WHERE)["spec"]["nodeName"]
    kubenas.stop_node(node)
    last = newest(folder)
    kubenas.start_node(node)
    assert resumed(kubenas, "restarted") == last
    ended(kubenas, "restarted")
    assert weights(checkpoint.load(folder / "0.safetensors")) == undisturbed


def documented_pod(claim: str) -> str:
    """The pod by which docs/checkpoints.md gets weights from a volume, with this cluster's names in it."""
    (found,) = re.findall(r"```yaml\n(apiVersion: v1\nkind: Pod\n.*?)```", PAGE.read_text(), re.DOTALL)
    replaced: str = found.replace("REGISTRY/kubenas-trial:v0.1.0", TRIAL.name).replace("nas-artifacts", claim)
    assert TRIAL.name in replaced
    assert claim in replaced
    return replaced


def test_the_best_is_kept_and_its_weights_are_got(kubenas: Cluster, claim: str, tmp_path: Path) -> None:
    """Both by pods that the namespace's restricted standard and KubeNAS' own policies admit."""
    document = digits(
        "kept",
        evaluation={"epochs": 1},
        trials={"max": 3, "parallelism": 3},
        storage={"volumeClaim": claim, "keep": "best"},
        trialTemplate={"spec": {"containers": [{"name": "trainer", "resources": {"limits": {"nvidia.com/gpu": "0"}}}]}},
    )
    kubenas.kubectl("apply", WHERE, "--filename=-", stdin=json.dumps(document))
    kubenas.kubectl("wait", WHERE, "--for=condition=Succeeded", "nas/kept", "--timeout=300s")
    folder = kubenas.folder / claim / folder_of(kubenas, "kept").parent
    best = get(kubenas, "nas/kept", WHERE)["status"]["best"]["trial"]
    until(lambda: {path.name for path in folder.iterdir()} == {best})
    assert get(kubenas, "nas/kept", WHERE)["status"]["checkpointsRemoved"] == 2
    kubenas.kubectl(
        "wait", WHERE, "pod/kept-checkpoints-2", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s"
    )
    assert "checkpoints of 2 trials were removed" in kubenas.kubectl("logs", WHERE, "kept-checkpoints-2")
    kubenas.kubectl("create", WHERE, "--filename=-", stdin=documented_pod(claim))
    kubenas.kubectl("wait", WHERE, "pod/weights", "--for=condition=Ready", "--timeout=120s")
    got = f"kubectl exec {WHERE} weights -- tar c -C /artifacts/{folder.name}/{best} . | tar x -C {tmp_path}"
    kubenas.run("bash", "-o", "pipefail", "-c", got)
    kubenas.kubectl("delete", WHERE, "pod/weights", "--now")
    assert checkpoint.load(tmp_path / "0.safetensors").step == 1
    kubenas.kubectl("delete", WHERE, "nas/kept", "--timeout=60s")
    until(lambda: get(kubenas, "pods", WHERE, "--selector=kubenas.io/experiment=kept")["items"] == [])
