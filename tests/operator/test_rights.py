"""The operator with the rights that deploy/ gives it."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.cluster.conditions import until
from tests.cluster.control_plane import REPOSITORY, ControlPlane
from tests.deploy.test_policies import pod, refusal
from tests.operator import endings
from tests.operator.harness import Operator, Workspace, experiment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.operator.api import Object

pytestmark = pytest.mark.control_plane

ACCOUNT = "kubenas-operator"
# What of the manifests is not for the operator's rights, or is there already.
OTHERS = ("CustomResourceDefinition", "Deployment", "Service")


@contextmanager
def rights(control_plane: ControlPlane, file: str, namespace: str) -> Iterator[None]:
    """The service account and its roles for a while.

    Args:
        file: of the manifests, in deploy/.
        namespace: in place of the one that they name.
    """
    text = (REPOSITORY / "deploy" / file).read_text()
    objects = [one for one in yaml.safe_load_all(text) if one["kind"] not in OTHERS]
    for one in objects:
        if "namespace" in one["metadata"]:
            one["metadata"]["namespace"] = namespace
        for subject in one.get("subjects", ()):
            subject["namespace"] = namespace
    objects = [one for one in objects if one["kind"] != "Namespace"]
    manifest = yaml.safe_dump_all(objects)
    control_plane.kubectl("apply", "--server-side", "--filename=-", stdin=manifest)
    yield
    control_plane.kubectl("delete", "--filename=-", stdin=manifest)


def ending(entry: Object) -> bool:
    """Whether nobody may create there any more, as where an operator of all namespaces meets another test's end."""
    causes = entry["responseStatus"].get("details", {}).get("causes", [])
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


def check(workspace: Workspace, operator: Operator, user: str, kubeconfig: Path) -> None:
    """A search with retries, suspension and an end, in which nothing is forbidden."""
    control_plane = workspace.control_plane
    operator.start().wait_ready()
    workspace.apply(experiment(trials={"max": 2}, ttlSecondsAfterFinished=3600))
    workspace.set_pod("nas-0-1", endings.exited(1, "out of luck"))
    workspace.wait_pod("nas-0-2")
    workspace.api.patch("nasexperiments", "nas", {"spec": {"suspend": True}})
    workspace.wait_condition("Suspended")
    workspace.api.patch("nasexperiments", "nas", {"spec": {"suspend": False}})
    with control_plane.fake_pods():
        workspace.wait_condition("Succeeded")
    workspace.api.patch("nasexperiments", "nas", {"spec": {"ttlSecondsAfterFinished": 0}})
    workspace.wait_gone()
    assert operator.terminate() == 0
    requests = workspace.requests(user)
    assert requests
    assert [entry for entry in requests if entry["responseStatus"]["code"] in (401, 403) and not ending(entry)] == []
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        control_plane.run(
            "kubectl", "get", "secrets", f"--namespace={workspace.namespace}", f"--kubeconfig={kubeconfig}"
        )
    assert "(Forbidden)" in refusal.value.stderr


def test_a_template_that_reaches_for_the_node_is_refused_and_told_of(workspace: Workspace) -> None:
    """And goes on once an administrator has allowed it."""
    control_plane, namespace = workspace.control_plane, workspace.namespace
    with rights(control_plane, "install-namespaced.yaml", namespace):
        until(lambda: "'kubenas-pods'" in refusal(control_plane, namespace, pod(hostPID=True), namespace))
        workspace.operator(kubeconfig=control_plane.service_account(namespace, ACCOUNT)).start().wait_ready()
        volumes = [{"name": "host", "hostPath": {"path": "/"}}]
        workspace.apply(experiment(trialTemplate={"spec": {"schedulerName": "nobody", "volumes": volumes}}))
        condition = workspace.wait_condition("TrialsScheduled", status="False")
        assert condition["reason"] == "PodRefused"
        assert "hostPath volumes are an administrator's to allow" in condition["message"]
        assert workspace.pods() == []
        control_plane.kubectl("label", "namespace", namespace, "kubenas.io/host-access=allowed")
        workspace.wait_condition("TrialsScheduled")
        workspace.wait_pod("nas-0-1")


@pytest.mark.parametrize("file", ["install.yaml", "install-namespaced.yaml"])
def test_the_rights_of_deploy_are_enough(file: str, workspace: Workspace) -> None:
    control_plane, namespace = workspace.control_plane, workspace.namespace
    with rights(control_plane, file, namespace):
        kubeconfig = control_plane.service_account(namespace, ACCOUNT)
        operator = workspace.operator(kubeconfig=kubeconfig, everywhere=file == "install.yaml")
        check(workspace, operator, f"system:serviceaccount:{namespace}:{ACCOUNT}", kubeconfig)
