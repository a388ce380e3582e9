"""Nodes that a real Karpenter adds and removes on a control plane; they are objects, and kwok plays their kubelets.

The scheduler is Kubernetes' own. Who plays the containers of pods is another matter: see `tests.cluster.fake_pods`.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.cluster import programs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.control_plane import ControlPlane

CRDS = ("nodepools.karpenter.sh", "nodeclaims.karpenter.sh", "kwoknodeclasses.karpenter.kwok.sh")
NODE_CLASS = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"}
# Whom the apiserver takes Karpenter for.
USER = "karpenter"
ZONE = "zone-a"
# Dollars an hour by capacity type and GPUs; one large node is cheaper than as many small ones.
PRICES = {("spot", 1): 0.4, ("on-demand", 1): 1.0, ("spot", 4): 1.5, ("on-demand", 4): 3.8}
# kwok's own stages make a pod ready, which has nothing to run here; a pod's end is for `fake_pods` to say.
STAGES = """\
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: node-is-ready}
spec:
  resourceRef: {apiGroup: v1, kind: Node}
  selector:
    matchExpressions:
    - {key: '.status.conditions.[] | select(.type == "Ready") | .status', operator: NotIn, values: ["True"]}
  next:
    statusTemplate: |
      {{ $now := Now | Quote }}
      phase: Running
      conditions:
      - type: Ready
        status: "True"
        reason: KubeletReady
        message: kwok plays the kubelet
        lastHeartbeatTime: {{ $now }}
        lastTransitionTime: {{ $now }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-ends-at-once}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: Exists}
  next: {delete: true, finalizers: {empty: true}}
"""


def install_crds(control_plane: ControlPlane) -> None:
    """Have the apiserver know Karpenter's kinds."""
    control_plane.kubectl("apply", "--server-side", f"--filename={programs.karpenter_crds()}")
    control_plane.kubectl("wait", "--for=condition=Established", *(f"crd/{crd}" for crd in CRDS), "--timeout=60s")


@contextmanager
def served(control_plane: ControlPlane) -> Iterator[None]:
    """A control plane with the scheduler, Karpenter with its CRDs, and kwok; node pools are the caller's to make."""
    karpenter, kwok = programs.karpenter(), programs.kwok()
    install_crds(control_plane)
    node_class = {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": "default"}}
    control_plane.kubectl("apply", "--filename=-", stdin=json.dumps(node_class))
    instance_types = control_plane.folder / "instance-types.json"
    instance_types.write_text(json.dumps([_instance_type(1), _instance_type(4)]))
    stages = control_plane.folder / "stages.yaml"
    stages.write_text(STAGES)
    settings = {
        "KUBECONFIG": control_plane.identity(USER, ["system:masters"]),
        "INSTANCE_TYPES_FILE_PATH": instance_types,
        "SYSTEM_NAMESPACE": "kube-system",
        "DISABLE_LEADER_ELECTION": "true",
        "KUBERNETES_MIN_VERSION": "1.19.0-0",
        "METRICS_PORT": 0,
        "HEALTH_PROBE_PORT": 0,
        "FEATURE_GATES": "NodeRepair=false,ReservedCapacity=false,SpotToSpotConsolidation=false,NodeOverlay=false,"
        "StaticCapacity=false",
    }
    kubeconfig = f"--kubeconfig={control_plane.kubeconfig}"
    commands = {
        "kube-scheduler": ["kube-scheduler", kubeconfig, "--leader-elect=false", "--secure-port=0"],
        "kwok": [
            str(kwok / "kwok"),
            kubeconfig,
            f"--config={stages}",
            "--manage-nodes-with-label-selector=karpenter.sh/nodepool",
            "--node-lease-duration-seconds=40",
        ],
        "karpenter": ["env", *(f"{name}={value}" for name, value in settings.items()), str(karpenter / "karpenter")],
    }
    for name, command in commands.items():
        control_plane.start(name, command)
    try:
        yield
    finally:
        for name in commands:
            control_plane.stop(name)


def _instance_type(gpus: int) -> dict[str, Any]:
    """An instance type in the words of Karpenter's provider for kwok."""
    return {
        "name": f"gpu-{gpus}x",
        "architecture": "amd64",
        "operatingSystems": ["linux"],
        "resources": {"cpu": f"{8 * gpus}", "memory": f"{32 * gpus}Gi", "pods": "110", "nvidia.com/gpu": f"{gpus}"},
        "offerings": [
            {
                "Price": PRICES[capacity, gpus],
                "Available": True,
                "Requirements": [
                    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": [capacity]},
                    {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [ZONE]},
                ],
            }
            for capacity in ("spot", "on-demand")
        ],
    }
