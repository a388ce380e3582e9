"""KubeNAS on the real cluster, installed as a user does it: by Helm, from the chart of `deploy/helm`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from tests.cluster.charts import Release
from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import REPOSITORY

DEPLOYED = REPOSITORY / "tests" / "cluster" / "deployed"
VALUES = DEPLOYED / "values.yaml"
OPERATOR_NAMESPACE = "kubenas-system"


def install(cluster: Cluster) -> None:
    """Install the operator and Prometheus, and wait until both are available."""
    cluster.kubectl("apply", "--server-side", f"--kustomize={DEPLOYED}")
    cluster.kubectl("create", "namespace", OPERATOR_NAMESPACE)
    cluster.kubectl("label", "namespace", OPERATOR_NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    Release(cluster, OPERATOR_NAMESPACE).install(f"--values={VALUES}", "--wait", "--timeout=5m")
    cluster.kubectl("rollout", "status", "deployment/prometheus", "--namespace=monitoring", "--timeout=300s")


def search_namespace(cluster: Cluster, name: str) -> None:
    """A namespace for experiments that admits restricted pods only."""
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    cluster.wait_for_service_account(name)


@contextmanager
def shared_claim(cluster: Cluster, namespace: str, kind: str = "claim") -> Iterator[str]:
    """A claim in a namespace whose volume every node has: a folder of the claim's name, beside the cluster's own."""
    name = f"{kind}-{namespace}"
    folder = cluster.folder / name
    folder.mkdir()
    folder.chmod(0o777)
    size = {"storage": "1Gi"}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {"capacity": size, "accessModes": ["ReadWriteMany"], "hostPath": {"path": str(folder)}},
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": "",
            "volumeName": name,
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": size},
        },
    }
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(volume))
    cluster.kubectl("create", f"--namespace={namespace}", "--filename=-", stdin=json.dumps(claim))
    yield name
    cluster.kubectl("delete", f"--namespace={namespace}", f"pvc/{name}", f"pv/{name}", "--wait=false")


def digits(name: str, **spec: Any) -> dict[str, Any]:
    """A search among small networks on handwritten digits."""
    return {
        "apiVersion": "kubenas.io/v1alpha1",
        "kind": "NASExperiment",
        "metadata": {"name": name},
        "spec": {
            "objectives": [{"metric": "accuracy"}],
            "task": {
                "name": "image-classification",
                "dataset": {"name": "digits"},
                "settings": {"batchSize": 64, "network": {"channels": 4, "cellsPerStack": 1}},
            },
            "searchSpace": {"preset": "nasbench201"},
            "search": {"algorithm": "random", "seed": 1},
            "metrics": {"source": "Pod", "interval": "1s"},
            **spec,
        },
    }


def get(cluster: Cluster, *what: str) -> Any:
    """A resource, or a list of them, as JSON."""
    return json.loads(cluster.kubectl("get", *what, "--output=json"))


def samples(cluster: Cluster, selector: str) -> list[dict[str, Any]]:
    """All samples of the last hour that Prometheus has for a selector, as its API answers: metric and values."""
    service = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy"
    answer = json.loads(cluster.kubectl("get", f"--raw={service}/api/v1/query?query={quote(selector + '[1h]')}"))
    assert answer["status"] == "success", answer
    series: list[dict[str, Any]] = answer["data"]["result"]
    return series
