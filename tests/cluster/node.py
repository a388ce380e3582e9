"""A node of a test cluster: a real kubelet on a real containerd, with GPUs that are only counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cluster import containerd
from tests.cluster.image_import import import_images
from tests.cluster.namespace import Namespace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.cluster.images import Built
    from tests.cluster.run_folder import RunFolder

EVICTION_SIGNALS = ("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available")


class Node:
    """One node, in PID and mount namespaces of its own and on the cluster's network.

    Attributes:
        name: what the API calls it.
        address: the kubelet's.
        started: when it was last started, as the API writes times.
        pod_logs: the folder of its pods' logs, from which the kubelet removes those of pods that it does not know.
    """

    def __init__(self, name: str, address: str, run: RunFolder, network: Namespace) -> None:
        self.name = name
        self.address = address
        self.started = ""
        self._folder = run.path / name
        self._folder.mkdir()
        self._var = self._folder / "var"
        self.pod_logs = self._var / "log/pods"
        self._run = run
        self._network = network
        self._namespace: Namespace | None = None

    def configure(self, authority: Path, pods: str, dns: str) -> None:
        """Write its programs' configuration.

        Args:
            authority: the certificate that vouches for those who call the kubelet.
            pods: the network of its pods' addresses.
            dns: the address of the cluster's DNS server.
        """
        network = self._folder / "cni"
        network.mkdir()
        plugins = [_point_to_point(pods, self._folder / "addresses")]
        (network / "pods.conflist").write_text(json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}))
        resolver = self._folder / "resolv.conf"
        resolver.touch()
        self._configuration.write_text(json.dumps(self._kubelet(authority, dns, resolver)))

    def start(self, builds: Sequence[Built], kubeconfig: Path, environment: Mapping[str, str]) -> None:
        """Start its programs; ready it is when the API says so.

        Args:
            builds: its images.
            kubeconfig: the kubelet's credentials.
            environment: the kubelet's.
        """
        self._run.make_cgroup()
        self._namespace = Namespace(self._run, network_of=self._network)
        self._keep_what_is_written_to_var(self._namespace)
        containerd.start(self._namespace, f"containerd-{self.name}", self._folder / "containerd", self._folder / "cni")
        import_images(self._namespace, builds, self._folder)
        self.started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._namespace.start(
            f"kubelet-{self.name}",
            [
                "kubelet",
                f"--config={self._configuration}",
                f"--kubeconfig={kubeconfig}",
                f"--hostname-override={self.name}",
                f"--node-ip={self.address}",
                f"--root-dir={self._folder}/kubelet",
                f"--cert-dir={self._folder}/certificates",
            ],
            environment,
        )

    def stop(self) -> None:
        """Cut its power: kubelet, containerd and all containers are gone at once."""
        if self._namespace:
            self._namespace.close()
            self._namespace = None

    @property
    def root(self) -> Path:
        """The root folder as its programs see it: with what is mounted there alone. While it is on."""
        assert self._namespace is not None
        return Path(f"/proc/{self._namespace.pid}/root")

    def mount_small_disk(self, folder: Path) -> None:
        """Mount an empty file system of 1 MiB, to which all may write, on a folder of this node."""
        assert self._namespace is not None
        self._namespace.run("mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "none", str(folder))

    def check(self) -> None:
        """Fail where one of its programs has ended."""
        if self._namespace:
            self._namespace.until(self.name, lambda: True)

    def _keep_what_is_written_to_var(self, namespace: Namespace) -> None:
        """Have it in the node's folder: paths below /var are fixed, and nodes would clear each other's logs there."""
        work = self._folder / "var-work"
        for folder in (self._var, work):
            folder.mkdir(exist_ok=True)
        layers = f"lowerdir=/var,upperdir={self._var},workdir={work}"
        namespace.run("mount", "-t", "overlay", f"--options={layers}", "overlay", "/var")

    @property
    def _configuration(self) -> Path:
        return self._folder / "kubelet.json"

    def _kubelet(self, authority: Path, dns: str, resolver: Path) -> dict[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": f"unix://{containerd.SOCKET}",
            "address": self.address,
            "healthzPort": 0,
            "clusterDNS": [dns],
            "clusterDomain": "cluster.local",
            "resolvConf": str(resolver),
            "authentication": {
                "x509": {"clientCAFile": str(authority)},
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
            },
            "authorization": {"mode": "Webhook"},
            "failCgroupV1": False,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._run.cgroup}",
            "enforceNodeAllocatable": [],
            "failSwapOn": False,
            "nodeStatusUpdateFrequency": "1s",  # and so it is reported
            # a full disk of the machine is not the node's concern
            "evictionHard": dict.fromkeys(EVICTION_SIGNALS, "0%"),
            "imageGCHighThresholdPercent": 100,
        }


def _point_to_point(pods: str, folder: Path) -> dict[str, Any]:
    """Each pod on a link of its own: all it sends is routed, and so meets the rules that make Services work."""
    return {
        "type": "ptp",
        "ipam": {
            "type": "host-local",
            "dataDir": str(folder),
            "ranges": [[{"subnet": pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
