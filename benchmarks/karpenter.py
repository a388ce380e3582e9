"""How busy a search keeps the nodes that a real Karpenter adds for it: 32 slots, on a control plane made for it.

    python -m benchmarks.karpenter [--slots N] [--trials N]

Needs root and Go, as `make test-control-plane`. Nodes are kwok's, and pods only sleep: for as long as NAS-Bench-201's
architectures take on an edge GPU (nasbench201_latency.csv in the folder KUBENAS_DATA, or in ../shared/data beside the
checkout), scaled to a mean of two minutes.
"""

from __future__ import annotations

import json
import threading
import time
from argparse import ArgumentParser
from dataclasses import dataclass
from datetime import datetime

from benchmarks.trial_lengths import measured
from tests import docs
from tests.cluster import karpenter_nodes
from tests.cluster.conditions import until
from tests.cluster.control_plane import REPOSITORY, ControlPlane
from tests.operator.api import Api
from tests.operator.harness import experiment, temporary_workspace


@dataclass
class Spans:
    """When each pod's container started and finished, in seconds since the epoch, as its status says to the second."""

    began: dict[str, float]
    ended: dict[str, float]

    def watch(self, api: Api) -> None:
        """Note changes until the apiserver ends."""
        for event in api.watch("pods"):
            pod = event["object"]
            for container in pod.get("status", {}).get("containerStatuses", ()):
                for state in container["state"].values():
                    if "startedAt" in state:
                        self.began[pod["metadata"]["name"]] = _seconds(state["startedAt"])
                    if "finishedAt" in state:
                        self.ended[pod["metadata"]["name"]] = _seconds(state["finishedAt"])

    def busy(self, slots: int) -> tuple[float, float]:
        """Share of the slots that had a running pod, from when all had one for the first time until the last start.

        Returns:
            The share, and the seconds of that time.
        """
        changes = sorted([(at, 1) for at in self.began.values()] + [(at, -1) for at in self.ended.values()])
        running, filled = 0, None
        for at, change in changes:
            running += change
            if running == slots:
                filled = at
                break
        if filled is None:
            raise AssertionError(f"there were never {slots} pods that ran")
        last = max(self.began.values())
        used = sum(max(0.0, min(self.ended.get(name, last), last) - max(at, filled)) for name, at in self.began.items())
        return used / (slots * (last - filled)), last - filled


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def main() -> None:
    """Print the rows of docs/benchmarks.md."""
    parser = ArgumentParser(description="How busy a search keeps Karpenter's nodes.")
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--trials", type=int, default=128)
    asked = parser.parse_args()
    (pool,) = docs.manifests("autoscaling.md", "NodePool")
    pool["spec"]["template"]["spec"]["nodeClassRef"] = karpenter_nodes.NODE_CLASS
    (template,) = docs.fragments("autoscaling.md", "trialTemplate")
    scale = {"min": 1, "max": asked.slots, "maxPending": 8}
    spans = Spans({}, {})
    with ControlPlane() as cluster:
        cluster.kubectl("apply", "--server-side", "--kustomize", str(REPOSITORY / "crds"))
        cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        with (
            temporary_workspace(cluster) as workspace,
            karpenter_nodes.served(cluster),
            cluster.fake_pods(measured, on_nodes=True),
        ):
            workspace.operator().start().wait_ready()
            cluster.kubectl("apply", "--filename=-", stdin=json.dumps(pool))
            threading.Thread(target=spans.watch, args=(workspace.api,), daemon=True).start()
            begun = time.monotonic()
            workspace.apply(
                experiment(
                    search={"algorithm": "random", "seed": 1},
                    trials={"max": asked.trials, "autoscale": scale},
                    trialTemplate=template["trialTemplate"],
                )
            )
            until(lambda: workspace.condition("Succeeded")["status"] == "True", seconds=7200)
            ended = time.monotonic()
            until(lambda: not cluster.kubectl("get", "nodes", "--output=name"), seconds=600)
            gone = time.monotonic()
            attempts = sum(one["status"]["attempt"] for one in workspace.trials())
            made = [one["objectRef"] for one in workspace.requests(karpenter_nodes.USER) if one["verb"] == "create"]
    share, seconds = spans.busy(asked.slots)
    print("| measured | value |\n| --- | --- |")
    print(f"| slots busy, over {seconds:.0f} s | {100 * share:.1f} % |")
    print(f"| trials, attempts | {asked.trials}, {attempts} |")
    print(f"| nodes made | {sum(one['resource'] == 'nodeclaims' for one in made)} |")
    print(f"| evictions | {sum(one.get('subresource') == 'eviction' for one in made)} |")
    print(f"| the search took | {ended - begun:.0f} s |")
    print(f"| until no node was left | {gone - ended:.0f} s |")


if __name__ == "__main__":
    main()
