"""A whole Kubernetes cluster of two nodes with fake GPUs, on a network of its own."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from tests.cluster import images, programs, system
from tests.cluster.control_plane import ControlPlane
from tests.cluster.node import Node

if TYPE_CHECKING:
    from collections.abc import Sequence

# from the range that carriers share, which no test machine's own networks use
CONTROL_PLANE = "100.64.0.1"
NODES = {"node-1": "100.64.0.2", "node-2": "100.64.0.3"}
PODS = {"node-1": "100.64.1.0/24", "node-2": "100.64.2.0/24"}
ALL_PODS = "100.64.0.0/16"
GPUS = "2"
COREFILE = """\
.:53 {{
    bind {address}
    errors
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
    }}
}}
"""


class Cluster(ControlPlane):
    """A control plane with scheduler, Services and DNS, and two nodes that run pods for real.

    Each node has two of ``nvidia.com/gpu`` and every image; pods name images by ``imagePullPolicy: Never`` or
    ``IfNotPresent``. All of it is in namespaces of its own: reach it with `kubectl` and `run`. Its addresses are fixed,
    since no other run can see them.
    """

    address = CONTROL_PLANE
    own_network = True
    api_server_flags = (
        # what was on a lost node is evicted soon, not after five minutes
        "--default-not-ready-toleration-seconds=5",
        "--default-unreachable-toleration-seconds=5",
    )

    def __init__(self, wanted: Sequence[images.Image] = images.IMAGES) -> None:
        # nor is a node found lost only after most of a minute
        super().__init__(controller_manager_flags=["--node-monitor-period=1s", "--node-monitor-grace-period=20s"])
        self._wanted = wanted
        self.nodes: dict[str, Node] = {}

    def stop_node(self, name: str) -> None:
        """Cut a node's power: all that runs on it is gone at once, and nobody told the API."""
        self.nodes[name].stop()

    def start_node(self, name: str) -> None:
        """Start a node and wait until it is ready, with its GPUs."""
        self._power_on(name)
        self._wait_for(name)

    def _prepare(self) -> None:
        super()._prepare()
        system.install()
        self._coredns = programs.coredns() / "coredns"

    def _start(self) -> None:
        with images.building():
            self._builds = [images.base(), *(images.build(image) for image in self._wanted)]
            self._set_up_network()
            super()._start()
            self._start_services()
            self._start_nodes()
        self._namespace.until("DNS answers", lambda: self._succeeds("bash", "-c", f"</dev/tcp/{self.address}/53"))

    def _set_up_network(self) -> None:
        inside = self._namespace.run
        inside("ip", "link", "set", "lo", "up")
        for address in (self.address, *NODES.values()):
            inside("ip", "address", "add", address, "dev", "lo")
        inside("ip", "route", "add", "default", "dev", "lo")  # for Services, whose addresses no interface has
        inside("sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1")

    def _start_services(self) -> None:
        self.start(
            "kube-scheduler",
            [
                "kube-scheduler",
                f"--kubeconfig={self.identity('scheduler', ['system:masters'])}",
                "--leader-elect=false",
            ],
        )
        self.start(
            "kube-proxy",
            [
                "kube-proxy",
                f"--kubeconfig={self.identity('proxy', ['system:masters'])}",
                "--hostname-override=node-1",
                f"--cluster-cidr={ALL_PODS}",
                f"--bind-address={self.address}",
                "--proxy-mode=iptables",
                "--conntrack-max-per-core=0",
            ],
        )
        corefile = self.folder / "Corefile"
        dns_identity = self.identity("dns", ["system:masters"])
        corefile.write_text(COREFILE.format(address=self.address, kubeconfig=dns_identity))
        self.start("coredns", [str(self._coredns), f"-conf={corefile}"])

    def _start_nodes(self) -> None:
        for name, address in NODES.items():
            self.nodes[name] = node = Node(name, address, self._run, self._namespace)
            self._resources.callback(node.stop)
            node.configure(self._authority.certificate, PODS[name], self.address)
            self._power_on(name)
        for name in self.nodes:
            self._wait_for(name)

    def _power_on(self, name: str) -> None:
        kubeconfig = self.identity(f"system:node:{name}", ["system:nodes"])
        self.nodes[name].start(self._builds, kubeconfig, self.environment)

    def _wait_for(self, name: str) -> None:
        self._namespace.until(f"{name} is ready", partial(self._is_ready, self.nodes[name]))
        gpus = [
            {"op": "add", "path": f"/status/{amount}/nvidia.com~1gpu", "value": GPUS}
            for amount in ("capacity", "allocatable")
        ]
        self.kubectl("patch", "node", name, "--subresource=status", "--type=json", f"--patch={json.dumps(gpus)}")

    def _is_ready(self, node: Node) -> bool:
        node.check()
        condition = ".status.conditions[?(@.type=='Ready')]"
        query = f"jsonpath={{{condition}.status}} {{{condition}.lastHeartbeatTime}}"
        status, _, heartbeat = self.kubectl("get", "node", node.name, f"--output={query}", check=False).partition(" ")
        # of a node that was lost a moment ago, the API still believes what it last said
        return status == "True" and heartbeat > node.started
