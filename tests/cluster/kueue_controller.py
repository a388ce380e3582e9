"""Kueue's controller on a control plane: a process beside it, with webhooks that hold plain pods."""

from __future__ import annotations

import base64
import json
import socket
from typing import TYPE_CHECKING, Any

import yaml

from tests.cluster import programs
from tests.cluster.conditions import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.control_plane import ControlPlane

NAMESPACE = "kueue-system"
# Namespaces with this label are none of its business.
UNSERVED_LABEL = "unserved-by-kueue"
SERVICE = "kueue-webhook-service"
SECRET = "kueue-webhook-server-cert"  # noqa: S105 - a name
INSTALLED = ("CustomResourceDefinition", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "Secret")


def start(control_plane: ControlPlane) -> None:
    """Install Kueue as its release does, and run its controller until it answers."""
    folder = programs.kueue()
    port = _free_port()
    control_plane.kubectl("create", "namespace", NAMESPACE)
    control_plane.kubectl("apply", "--server-side", "--filename=-", stdin=_manifests(control_plane, folder, port))
    certificates = control_plane.folder / "kueue-certificates"
    certificates.mkdir()
    configuration = control_plane.folder / "kueue.json"
    configuration.write_text(json.dumps(_configuration(port, certificates)))
    control_plane.start("kueue", [str(folder / "kueue"), f"--config={configuration}"])
    # It makes the certificates of its webhooks itself; on a node they would be mounted.
    for name, content in until(lambda: _secret(control_plane)).items():
        (certificates / name).write_bytes(base64.b64decode(content))
    queue = json.dumps(_object("ResourceFlavor", "probe", spec={}))
    until(lambda: control_plane.kubectl("apply", "--filename=-", "--output=name", stdin=queue, check=False))


def quota(control_plane: ControlPlane, namespace: str, queue: str, gpus: int, *, preempts: bool = False) -> None:
    """A LocalQueue of a namespace, with a ClusterQueue of its own that has so many GPUs."""
    flavor = {"name": "any", "resources": [{"name": "nvidia.com/gpu", "nominalQuota": gpus}]}
    cluster_queue = {
        "namespaceSelector": {},
        "preemption": {"withinClusterQueue": "LowerPriority" if preempts else "Never"},
        "resourceGroups": [{"coveredResources": ["nvidia.com/gpu"], "flavors": [flavor]}],
    }
    objects = [
        _object("ResourceFlavor", "any", spec={}),
        _object("ClusterQueue", f"{namespace}-{queue}", spec=cluster_queue),
        _object("LocalQueue", queue, namespace, spec={"clusterQueue": f"{namespace}-{queue}"}),
    ]
    control_plane.kubectl("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(objects))


def priorities(control_plane: ControlPlane, **values: int) -> None:
    """WorkloadPriorityClasses by name."""
    objects = [_object("WorkloadPriorityClass", name, value=value) for name, value in values.items()]
    control_plane.kubectl("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(objects))


def _object(kind: str, name: str, namespace: str | None = None, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": metadata, **fields}


def _manifests(control_plane: ControlPlane, folder: Path, port: int) -> str:
    """Of its release, what is not its rights and its pod, with webhooks that lead to the process."""
    released = control_plane.kubectl("kustomize", str(folder / "config" / "default"))
    objects = [one for one in yaml.load_all(released, yaml.CSafeLoader) if one["kind"] in INSTALLED]
    for one in objects:
        conversion = one.get("spec", {}).get("conversion", {}).get("webhook")
        for webhook in [*one.get("webhooks", ()), *([conversion] if conversion else [])]:
            webhook["clientConfig"]["service"]["port"] = port
    # To the apiserver the name of an external service is an address like any other.
    spec = {"type": "ExternalName", "externalName": "localhost"}
    objects.append(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": NAMESPACE}, "spec": spec}
    )
    return yaml.dump_all(objects, Dumper=yaml.CSafeDumper)


def _configuration(port: int, certificates: Path) -> dict[str, Any]:
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "namespace": NAMESPACE,
        "health": {"healthProbeBindAddress": "127.0.0.1:0"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": "127.0.0.1", "port": port, "certDir": str(certificates)},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": True, "webhookServiceName": SERVICE, "webhookSecretName": SECRET},
        "integrations": {"frameworks": ["pod"]},
        "managedJobsNamespaceSelector": {
            "matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", NAMESPACE]},
                {"key": UNSERVED_LABEL, "operator": "DoesNotExist"},
            ]
        },
        "featureGates": {"VisibilityOnDemand": False, "MultiKueue": False, "TopologyAwareScheduling": False},
    }


def _secret(control_plane: ControlPlane) -> dict[str, str] | None:
    found = json.loads(control_plane.kubectl("get", "secret", SECRET, f"--namespace={NAMESPACE}", "--output=json"))
    data: dict[str, str] | None = found.get("data")
    return data


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
