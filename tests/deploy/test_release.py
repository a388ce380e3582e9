"""The chart's releases on a real control plane: installed, upgraded, rolled back, uninstalled, found again.

The operator runs as a process beside it, with the service account that the chart makes; a test replaces the process
where a Deployment would. `tests/cluster` has the Deployment on real nodes.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster import programs
from tests.cluster.charts import Release, helm
from tests.cluster.conditions import until
from tests.cluster.control_plane import REPOSITORY, ControlPlane
from tests.operator.harness import Operator, Workspace, experiment, temporary_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.operator.api import Object

pytestmark = pytest.mark.control_plane

# A chart of before, whose CRDs know no warmStart, and which has no PodDisruptionBudget.
EARLIER = Path(__file__).with_name("kubenas-0.0.1.tgz")
NAMESPACE = "kubenas-system"
USER = f"system:serviceaccount:{NAMESPACE}:kubenas-operator"
CRDS = ("nasexperiments.kubenas.io", "nastrials.kubenas.io")
KEPT = ("name", "namespace", "uid", "creationTimestamp")


@pytest.fixture
def release(empty_control_plane: ControlPlane) -> Release:
    empty_control_plane.kubectl("create", "namespace", NAMESPACE)
    return Release(empty_control_plane, NAMESPACE)


@pytest.fixture
def workspace(release: Release, empty_control_plane: ControlPlane) -> Iterator[Workspace]:
    """A namespace of experiments; an operator of it has the rights of the release alone."""
    assert release.namespace == NAMESPACE
    with temporary_workspace(empty_control_plane) as workspace:
        yield workspace


def established(control_plane: ControlPlane) -> None:
    control_plane.kubectl("wait", "--for=condition=Established", *(f"crd/{name}" for name in CRDS), "--timeout=60s")


def operator(workspace: Workspace) -> Operator:
    """The release's operator, ready."""
    established(workspace.control_plane)
    kubeconfig = workspace.control_plane.service_account(NAMESPACE, "kubenas-operator")
    flags = (f"--lease-namespace={NAMESPACE}",)
    return workspace.operator(*flags, kubeconfig=kubeconfig, everywhere=True).start().wait_ready()


def succeeded(workspace: Workspace) -> dict[str, Object]:
    """What is kept of each trial that has succeeded.

    Without empty lists and zeros: the apiserver gives them by the schema, which knows more fields in a later release.
    """
    ended = [one for one in workspace.trials() if one.get("status", {}).get("phase") == "Succeeded"]
    return {
        one["metadata"]["name"]: {
            "metadata": {key: one["metadata"][key] for key in KEPT},
            "spec": one["spec"],
            "status": {field: value for field, value in one["status"].items() if value not in ([], 0)},
        }
        for one in ended
    }


def made(workspace: Workspace) -> list[str]:
    """The pods that the release's operators have made, in order."""
    return [
        entry["objectRef"]["name"]
        for entry in workspace.writes(USER)
        if (entry["verb"], entry["objectRef"]["resource"], entry["responseStatus"]["code"]) == ("create", "pods", 201)
    ]


def fields(control_plane: ControlPlane, crd: str, part: str) -> set[str]:
    """What the served schema knows of a resource's `spec` or `status`."""
    found = json.loads(control_plane.kubectl("get", "crd", crd, "--output=json"))
    (version,) = found["spec"]["versions"]
    return {*version["schema"]["openAPIV3Schema"]["properties"][part]["properties"]}


def knows_warm_start(control_plane: ControlPlane) -> bool:
    return "warmStart" in fields(control_plane, CRDS[0], "spec")


def contains(workspace: Workspace, kept: dict[str, Object]) -> bool:
    """Whether trials are as they were, in all that the served release knows."""
    known = fields(workspace.control_plane, CRDS[1], "status")
    wanted = {
        name: {**one, "status": {field: value for field, value in one["status"].items() if field in known}}
        for name, one in kept.items()
    }
    return wanted.items() <= succeeded(workspace).items()


def test_a_running_experiment_loses_nothing_by_upgrade_and_rollback(
    release: Release, workspace: Workspace, empty_control_plane: ControlPlane
) -> None:
    release.install(chart=EARLIER)
    first = operator(workspace)
    assert not knows_warm_start(empty_control_plane)
    workspace.apply(experiment(trials={"max": 18, "parallelism": 3}))
    with empty_control_plane.fake_pods(seconds=0.5):
        until(lambda: len(succeeded(workspace)) >= 3)
        before = succeeded(workspace)

        release.upgrade()
        assert knows_warm_start(empty_control_plane)
        assert empty_control_plane.kubectl("get", "pdb", "--namespace", NAMESPACE, "--output=name")
        assert first.terminate() == 0
        second = operator(workspace)
        until(lambda: len(succeeded(workspace)) >= 9)
        assert contains(workspace, before)
        before = succeeded(workspace)

        release.rollback(1)
        until(lambda: not knows_warm_start(empty_control_plane))
        assert not empty_control_plane.kubectl("get", "pdb", "--namespace", NAMESPACE, "--output=name")
        assert second.terminate() == 0
        third = operator(workspace)
        workspace.wait_condition("Succeeded")
    assert contains(workspace, before)
    assert workspace.status()["counts"]["succeeded"] == 18
    names = [f"nas-{number}" for number in range(18)]
    assert [one["metadata"]["name"] for one in workspace.trials()] == names
    assert sorted(made(workspace)) == sorted(f"{name}-1" for name in names)
    assert third.terminate() == 0


def test_experiments_outlive_the_release_and_are_found_by_the_next(
    release: Release, workspace: Workspace, empty_control_plane: ControlPlane
) -> None:
    release.install()
    first = operator(workspace)
    workspace.apply(experiment(trials={"max": 8, "parallelism": 2}))
    with empty_control_plane.fake_pods(seconds=0.5):
        until(lambda: len(succeeded(workspace)) >= 2)
        release.uninstall("--wait")
        first.kill()
        assert helm(empty_control_plane, "list", "--all-namespaces", "--short") == ""
        left = empty_control_plane.kubectl(
            "get", "deployment,role,networkpolicy,pdb", "--all-namespaces", "--output=name"
        )
        assert "kubenas" not in left
        cluster = empty_control_plane.kubectl("get", "clusterrole,validatingadmissionpolicy", "--output=name")
        assert "kubenas" not in cluster
        before = succeeded(workspace)
        assert before
        assert workspace.status()["phase"] == "Running"

        release.install()
        operator(workspace)
        workspace.wait_condition("Succeeded")
    assert contains(workspace, before)
    assert workspace.status()["counts"]["succeeded"] == 8
    assert len(made(workspace)) == len(set(made(workspace))) == 8


@pytest.mark.parametrize("running", [True, False], ids=["with the operator", "without it"])
def test_nothing_hangs_that_is_deleted(
    running: bool, release: Release, workspace: Workspace, empty_control_plane: ControlPlane
) -> None:
    """An experiment, a namespace with one, and the definitions with one; trials run in each."""
    release.install()
    current = operator(workspace)
    for name in ("one", "two"):
        workspace.apply(experiment(name, trials={"max": 4, "parallelism": 2}))
    other = Workspace(empty_control_plane, "other")
    other.api.create_namespace()
    other.apply(experiment())
    for name in ("one-0-1", "two-0-1"):
        workspace.wait_pod(name)
    other.wait_pod("nas-0-1")
    other.api.close()
    if not running:
        current.kill()
    workspace.api.delete("nasexperiments", "one")
    workspace.wait_gone("one")
    empty_control_plane.kubectl("delete", "--wait", "--timeout=120s", "namespace", other.namespace)
    release.upgrade("--set=crds.keep=false")
    release.uninstall("--wait", "--timeout=2m")
    until(lambda: not empty_control_plane.kubectl("get", "crd", "--output=name"))
    until(lambda: workspace.pods("two") == [])


def test_what_is_said_after_an_installation_can_be_done(release: Release) -> None:
    said = release.install()
    assert "kubectl rollout status deployment/kubenas-operator --namespace kubenas-system" in said
    assert "/examples/digits.yaml" in said
    assert (REPOSITORY / "examples" / "digits.yaml").exists()
    assert "kubectl get nas,nastrials --namespace default --watch" in said
    assert "No PodMonitor is installed" in said


def test_a_release_takes_over_what_kubectl_has_installed(release: Release, empty_control_plane: ControlPlane) -> None:
    empty_control_plane.kubectl("apply", "--server-side", f"--filename={REPOSITORY / 'deploy' / 'install.yaml'}")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        release.install()
    assert "cannot be imported" in refused.value.stderr
    release.install("--take-ownership", "--force-conflicts")
    assert helm(empty_control_plane, "list", "--all-namespaces", "--short").strip() == "kubenas"


def test_helm_3_does_the_same(empty_control_plane: ControlPlane) -> None:
    empty_control_plane.kubectl("create", "namespace", NAMESPACE)
    release = Release(empty_control_plane, NAMESPACE, program=programs.helm3() / "helm")
    release.install(chart=EARLIER)
    assert not knows_warm_start(empty_control_plane)
    release.upgrade()
    assert knows_warm_start(empty_control_plane)
    release.rollback(1)
    assert not knows_warm_start(empty_control_plane)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        release.upgrade("--set=replica=3")
    assert "'replica'" in refused.value.stderr
    release.uninstall("--wait")
    established(empty_control_plane)
    release.install()
    assert knows_warm_start(empty_control_plane)


def test_a_second_release_serves_another_namespace(release: Release, empty_control_plane: ControlPlane) -> None:
    """What is the cluster's stays with the first one."""
    release.install()
    empty_control_plane.kubectl("create", "namespace", "team-a")
    second = Release(empty_control_plane, "team-a", "kubenas-team-a")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        second.install("--set=watchNamespace=team-a")
    assert "kubenas-system" in refused.value.stderr
    second.install("--set=watchNamespace=team-a,crds.enabled=false,policies.enabled=false,userRoles.enabled=false")
    second.uninstall("--wait")
    established(empty_control_plane)
    assert empty_control_plane.kubectl("get", "clusterrole", "kubenas-edit", "--output=name")
