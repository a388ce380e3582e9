"""The admission policies of deploy/ on a real apiserver, with the identities that they are about."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from kubenas.cluster.benchmarks import benchmark_manifest
from kubenas.cluster.pods import PodDefaults
from kubenas.cluster.removal import removal_manifest
from kubenas.experiment.actions import Removal
from kubenas.experiment.benchmarks import Benchmark
from tests.cluster.conditions import until
from tests.deploy.test_manifests import applied
from tests.experiment.builders import trial
from tests.operator.harness import experiment
from tests.operator.test_pods import experiment as with_uid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.control_plane

OPERATOR = "system:serviceaccount:{}:kubenas-operator"
POLICIES = ("kubenas-experiments", "kubenas-pods")


@pytest.fixture(scope="module", params=["install.yaml", "install-namespaced.yaml"])
def installed(request: pytest.FixtureRequest, control_plane: ControlPlane) -> Iterator[str]:
    """An installation; the namespace of its operator."""
    own = {"install.yaml": "kubenas-system", "install-namespaced.yaml": "kubenas"}[request.param]
    with applied(control_plane, request.param):
        place = "default" if own == "kubenas-system" else own
        # Else Pod Security would refuse before the policies do.
        control_plane.kubectl("label", "namespace", own, "pod-security.kubernetes.io/enforce-")
        until(lambda: "'kubenas-pods'" in refusal(control_plane, own, pod(hostPID=True), place))
        yield own


@pytest.fixture
def place(installed: str, control_plane: ControlPlane, request: pytest.FixtureRequest) -> str:
    """A namespace that the operator serves."""
    if installed == "kubenas":
        control_plane.wait_for_service_account("kubenas")
        return "kubenas"
    namespace: str = request.getfixturevalue("namespace")
    return namespace


def pod(**spec: Any) -> dict[str, Any]:
    """A pod as the operator makes it, with something of a user's template in it."""
    labels = {
        "kubenas.io/experiment": "nas",
        "kubenas.io/experiment-uid": "uid-1",
        "kubenas.io/trial": "nas-0",
        "kubenas.io/attempt": "1",
    }
    owner = {
        "apiVersion": "kubenas.io/v1alpha1",
        "kind": "NASTrial",
        "name": "nas-0",
        "uid": "00000000-0000-0000-0000-000000000000",
        "controller": True,
    }
    return {
        "metadata": {"name": "nas-0-1", "labels": labels, "ownerReferences": [owner]},
        "spec": {"automountServiceAccountToken": False, "containers": [container()], **spec},
    }


def container(name: str = "trainer", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "none", **fields}


def created(control_plane: ControlPlane, namespace: str, user: str, document: dict[str, Any]) -> str:
    """What the apiserver says against it; empty where it would take it."""
    command = ["create", f"--namespace={namespace}", "--dry-run=server", "--filename=-", f"--as={user}"]
    try:
        control_plane.kubectl(*command, stdin=json.dumps(document))
    except subprocess.CalledProcessError as error:
        return str(error.stderr)
    return ""


def refusal(control_plane: ControlPlane, operator: str, document: dict[str, Any], namespace: str) -> str:
    """What the apiserver says against a pod that the operator makes."""
    return created(control_plane, namespace, OPERATOR.format(operator), {"apiVersion": "v1", "kind": "Pod", **document})


HOST_ACCESS: dict[str, tuple[dict[str, Any], str]] = {
    "host network": ({"hostNetwork": True}, "hostNetwork"),
    "host processes": ({"hostPID": True}, "hostPID"),
    "host IPC": ({"hostIPC": True}, "hostIPC"),
    "host path": ({"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}, "hostPath"),
    "host port": ({"containers": [container(ports=[{"containerPort": 1, "hostPort": 1}])]}, "hostPort"),
    "privileged": ({"containers": [container(securityContext={"privileged": True})]}, "privileged"),
    "privileged second": (
        {"containers": [container(), container("other", securityContext={"privileged": True})]},
        "privileged",
    ),
    "privileged init": ({"initContainers": [container("init", securityContext={"privileged": True})]}, "privileged"),
    "capability": (
        {"containers": [container(securityContext={"capabilities": {"add": ["CHOWN", "SYS_ADMIN"]}})]},
        "capabilities",
    ),
    "all capabilities": (
        {"initContainers": [container("init", securityContext={"capabilities": {"add": ["ALL"]}})]},
        "capabilities",
    ),
    "node": ({"nodeName": "control-plane"}, "nodeName"),
}
TOKEN = {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
ACCOUNTS: dict[str, dict[str, Any]] = {
    "another account": {"serviceAccountName": "trainer"},
    "another account with its token": {"serviceAccountName": "trainer", "automountServiceAccountToken": True},
    "the default account's token": {"automountServiceAccountToken": True},
    "a token in a volume": {"volumes": [TOKEN]},
}
HARMLESS: dict[str, dict[str, Any]] = {
    "as the operator makes it": {},
    "capability of the baseline": {
        "containers": [container(securityContext={"privileged": False, "capabilities": {"add": ["CHOWN"]}})]
    },
    "claims and secrets": {
        "volumes": [
            {"name": "claim", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "both", "projected": {"sources": [{"secret": {"name": "key"}}]}},
        ],
        "initContainers": [container("init", ports=[{"containerPort": 1}])],
        "nodeSelector": {"gpu": "a100"},
        "serviceAccountName": "default",
    },
}


@pytest.mark.parametrize("case", HARMLESS)
def test_a_trials_pod_is_let_through(case: str, installed: str, place: str, control_plane: ControlPlane) -> None:
    assert refusal(control_plane, installed, pod(**HARMLESS[case]), place) == ""


@pytest.mark.parametrize("case", HOST_ACCESS)
def test_a_template_reaches_no_node_unless_an_administrator_allows_it(
    case: str, installed: str, place: str, control_plane: ControlPlane
) -> None:
    spec, message = HOST_ACCESS[case]
    said = refusal(control_plane, installed, pod(**spec), place)
    assert "(Forbidden)" in said
    assert "'kubenas-pods'" in said
    assert message in said
    control_plane.kubectl("label", "namespace", place, "kubenas.io/host-access=allowed")
    try:
        assert refusal(control_plane, installed, pod(**spec), place) == ""
    finally:
        control_plane.kubectl("label", "namespace", place, "kubenas.io/host-access-")


@pytest.mark.parametrize("case", ACCOUNTS)
def test_a_template_gets_no_service_account_unless_an_administrator_allows_it(
    case: str, installed: str, place: str, control_plane: ControlPlane
) -> None:
    control_plane.kubectl("create", "serviceaccount", "trainer", f"--namespace={place}")
    try:
        said = refusal(control_plane, installed, pod(**ACCOUNTS[case]), place)
        assert "kubenas.io/service-accounts" in said
        control_plane.kubectl("annotate", "namespace", place, "kubenas.io/service-accounts=other, trainer,default")
        assert refusal(control_plane, installed, pod(**ACCOUNTS[case]), place) == ""
    finally:
        control_plane.kubectl("annotate", "namespace", place, "kubenas.io/service-accounts-")
        control_plane.kubectl("delete", "serviceaccount", "trainer", f"--namespace={place}")


@pytest.mark.parametrize(
    "label", ["kubenas.io/experiment", "kubenas.io/experiment-uid", "kubenas.io/trial", "kubenas.io/attempt"]
)
def test_the_operators_pods_have_its_labels(
    label: str, installed: str, place: str, control_plane: ControlPlane
) -> None:
    document = pod()
    del document["metadata"]["labels"][label]
    assert "owned by their NASTrial" in refusal(control_plane, installed, document, place)


@pytest.mark.parametrize(
    "owner",
    [
        None,
        {"kind": "Job"},
        {"apiVersion": "example.com/v1"},
        {"name": "nas-1"},
        {"kind": "NASExperiment"},
        {"controller": False},
    ],
    ids=["none", "kind", "group", "name", "another's experiment", "controller"],
)
def test_the_operators_pods_belong_to_their_trials(
    owner: dict[str, Any] | None, installed: str, place: str, control_plane: ControlPlane
) -> None:
    document = pod()
    (reference,) = document["metadata"]["ownerReferences"]
    document["metadata"]["ownerReferences"] = [reference | owner] if owner else []
    assert "owned by their NASTrial" in refusal(control_plane, installed, document, place)


def test_a_pod_that_removes_checkpoints_is_admitted(installed: str, place: str, control_plane: ControlPlane) -> None:
    of = with_uid(storage={"volumeClaim": "artifacts", "keep": "best"})
    document = removal_manifest(of, Removal((0,), 0), PodDefaults("none"))
    document["metadata"]["namespace"] = place
    assert refusal(control_plane, installed, document, place) == ""
    document["metadata"]["ownerReferences"][0]["name"] = "other"
    assert "owned by their NASTrial or NASExperiment" in refusal(control_plane, installed, document, place)


def test_a_pod_that_measures_on_a_device_is_restricted_whatever_is_asked_for(
    installed: str, place: str, control_plane: ControlPlane
) -> None:
    """It may choose its node, as a template may, and gets no further there."""
    device = {
        "nodeSelector": {"node-role.kubernetes.io/control-plane": ""},
        "tolerations": [{"operator": "Exists"}],
        "image": "registry.example/own",
        "command": ["sh"],
    }
    objectives = [{"metric": "accuracy"}, {"metric": "board_ms", "measuredOn": device}]
    of = with_uid(objectives=objectives, storage={"volumeClaim": "artifacts"})
    made = Benchmark(trial(), "0", of.spec.objectives[1], number=1, attempt=1)
    document = benchmark_manifest(of, made, PodDefaults("none"))
    document["metadata"]["namespace"] = place
    profile = "pod-security.kubernetes.io/enforce"
    control_plane.kubectl("label", "namespace", place, f"{profile}=restricted", "--overwrite")
    try:
        assert refusal(control_plane, installed, document, place) == ""
    finally:
        control_plane.kubectl("label", "namespace", place, f"{profile}-")
    assert document["spec"]["automountServiceAccountToken"] is False
    assert not {"serviceAccountName", "hostNetwork", "hostPID", "hostIPC"} & document["spec"].keys()


def test_others_pods_are_not_the_policies_business(installed: str, place: str, control_plane: ControlPlane) -> None:
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": pod(hostNetwork=True)["spec"]}
    control_plane.kubectl(
        "create", f"--namespace={place}", "--dry-run=server", "--filename=-", stdin=json.dumps(document)
    )
    assert "(Forbidden)" in created(control_plane, place, OPERATOR.format(installed), document)


def test_trials_run_in_no_namespace_of_the_cluster(installed: str, control_plane: ControlPlane) -> None:
    """A namespaced operator has no rights there to begin with."""
    message = "the cluster's own namespaces" if installed == "kubenas-system" else 'cannot create resource "pods"'
    for namespace in ("kube-system", "kube-public", "kube-node-lease"):
        assert message in refusal(control_plane, installed, pod(), namespace)


def test_ephemeral_containers_are_judged_as_others_are(installed: str, place: str, control_plane: ControlPlane) -> None:
    """The operator has no right to make any; an administrator might give it one."""
    user, own = OPERATOR.format(installed), f"--namespace={place}"
    resources = "--resource=pods,pods/ephemeralcontainers"
    control_plane.kubectl("create", "role", "debug", own, "--verb=get,update,patch", resources)
    control_plane.kubectl("create", "rolebinding", "debug", own, "--role=debug", f"--user={user}")
    candidate = {"id": "0", "name": "x", "architecture": {}, "epochs": 1}
    trial = {
        "apiVersion": "kubenas.io/v1alpha1",
        "kind": "NASTrial",
        "metadata": {"name": "nas-0"},
        "spec": {"number": 0, "resultsSeen": 0, "candidates": [candidate]},
    }
    create = ["create", own, "--output=json", "--filename=-"]
    uid = json.loads(control_plane.kubectl(*create, stdin=json.dumps(trial)))["metadata"]["uid"]
    document = {"apiVersion": "v1", "kind": "Pod", **pod(nodeName="nowhere")}
    document["metadata"]["ownerReferences"][0]["uid"] = uid  # else it is collected as garbage
    control_plane.kubectl(*create, stdin=json.dumps(document))

    def replaced(privileged: bool) -> str:
        text = control_plane.kubectl("get", "pod", "nas-0-1", own, "--output=json")
        there = json.loads(text)
        there["spec"]["ephemeralContainers"] = [container("debug", securityContext={"privileged": privileged})]
        path = f"/api/v1/namespaces/{place}/pods/nas-0-1/ephemeralcontainers"
        command = ["replace", f"--raw={path}", "--filename=-", f"--as={user}"]
        try:
            control_plane.kubectl(*command, stdin=json.dumps(there))
        except subprocess.CalledProcessError as error:
            return str(error.stderr)
        return ""

    try:
        assert "privileged containers" in replaced(True)
        assert replaced(False) == ""
    finally:
        control_plane.kubectl(
            "delete", "nastrial/nas-0", "pod/nas-0-1", "role/debug", "rolebinding/debug", own, "--grace-period=0"
        )


@pytest.mark.usefixtures("installed")
def test_the_apiserver_finds_no_mistake_in_the_policies(control_plane: ControlPlane) -> None:
    def checked(policy: str) -> dict[str, Any]:
        text = control_plane.kubectl("get", "validatingadmissionpolicy", policy, "--output=json")
        found: dict[str, Any] = json.loads(text).get("status", {})
        return found

    for name in POLICIES:
        until(lambda policy=name: "typeChecking" in checked(policy))  # type: ignore[misc]
        assert checked(name)["typeChecking"] == {}


@pytest.fixture
def users(place: str, control_plane: ControlPlane) -> Iterator[dict[str, str]]:
    """Users by what they may do: all that the role edit may, and experiments but no pods."""
    names = {"editor": f"editor-of-{place}", "limited": f"limited-of-{place}"}
    own, verbs = f"--namespace={place}", "--verb=get,list,create,update,patch"
    resources = {
        "limited": "nasexperiments.kubenas.io,nasexperiments.kubenas.io/scale",
        "editor": "nasexperiments.kubenas.io,pods",
    }
    for role, user in names.items():
        control_plane.kubectl("create", "role", role, own, verbs, f"--resource={resources[role]}")
        control_plane.kubectl("create", "rolebinding", role, own, f"--role={role}", f"--user={user}")
    # A policy works a moment after it is applied.
    until(lambda: "'kubenas-experiments'" in created(control_plane, place, names["limited"], experiment()))
    yield names
    control_plane.kubectl("delete", "role,rolebinding", *names, own)


def test_who_makes_an_experiment_must_be_allowed_to_make_pods(
    place: str, users: dict[str, str], control_plane: ControlPlane
) -> None:
    said = created(control_plane, place, users["limited"], experiment())
    assert f"user {users['limited']} may not create pods in namespace {place}" in said
    assert created(control_plane, place, users["editor"], experiment()) == ""


def test_who_changes_an_experiment_must_be_allowed_to_make_pods(
    place: str, users: dict[str, str], control_plane: ControlPlane
) -> None:
    """Labels may be changed all the same, and the number of trials at a time, as autoscalers do."""
    own = f"--namespace={place}"
    control_plane.kubectl("create", own, "--filename=-", stdin=json.dumps(experiment()))
    try:
        patch = ["patch", "nas/nas", own, "--type=merge"]
        template = json.dumps({"spec": {"trialTemplate": {"spec": {"schedulerName": "other"}}}})
        control_plane.kubectl(*patch, f"--patch={template}", f"--as={users['editor']}")
        other = json.dumps({"spec": {"trials": {"max": 7}}})
        with pytest.raises(subprocess.CalledProcessError) as refused:
            control_plane.kubectl(*patch, f"--patch={other}", f"--as={users['limited']}")
        assert "may not create pods" in refused.value.stderr
        control_plane.kubectl(*patch, '--patch={"metadata":{"labels":{"a":"b"}}}', f"--as={users['limited']}")
        control_plane.kubectl("scale", "nas/nas", own, "--replicas=2", f"--as={users['limited']}")
    finally:
        control_plane.kubectl("delete", "nas/nas", own)
