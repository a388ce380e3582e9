"""`make demo-cluster`: the whole on a real two-node cluster made for it: install, apply, watch, result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.cluster import system
from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import REPOSITORY
from tests.cluster.installed import install
from tests.cluster.system import MissingPrerequisiteError

EXAMPLE = str(REPOSITORY / "examples" / "digits.yaml")


def main() -> None:
    """Show it; the commands are those that a user types."""
    try:
        system.install()
        with Cluster() as cluster:
            _show(cluster)
    except MissingPrerequisiteError as missing:
        raise SystemExit(f"make demo-cluster: {missing}") from None


def _show(cluster: Cluster) -> None:
    _say("A cluster of two nodes with two fake GPUs each")
    _run(
        cluster,
        "kubectl",
        "get",
        "nodes",
        "-o",
        "custom-columns=NODE:.metadata.name,GPUS:.status.allocatable.nvidia\\.com/gpu",
    )
    _say(
        "Install Prometheus (kubectl apply -k deploy/prometheus) and the operator (helm install … deploy/helm/kubenas)"
    )
    install(cluster)
    _run(cluster, "kubectl", "get", "pods", "-A", "-o", "wide")
    _say("Search")
    _run(cluster, "kubectl", "apply", "-f", EXAMPLE)
    watching = ["kubectl", "get", "nas/digits", "--watch"]
    entering = cluster.entering(watching)
    with subprocess.Popen(entering, env=cluster.environment, start_new_session=True) as watch:
        cluster.kubectl("wait", "--for=condition=Succeeded", "nas/digits", "--timeout=900s")
        os.killpg(watch.pid, signal.SIGTERM)  # the one that enters the cluster and the one inside
    _say("Result")
    _run(cluster, "kubectl", "get", "nastrials", "-l", "kubenas.io/experiment=digits")
    _run(cluster, "kubectl", "get", "events", "--field-selector", "involvedObject.kind=NASExperiment")
    _run(cluster, "kubectl", "get", "nas/digits", "-o", "jsonpath={.status.best}{'\\n'}")


def _say(what: str) -> None:
    print(f"\n\033[1m{what}\033[0m", flush=True)


def _run(cluster: Cluster, *command: str) -> None:
    print(f"$ {' '.join(command)}", flush=True)
    done = subprocess.run(cluster.entering(command), env=cluster.environment, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
