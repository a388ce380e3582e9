"""A containerd in a namespace."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.cluster import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.namespace import Namespace

SOCKET = "/run/containerd.sock"  # in a /run of the namespace's own
CTR = ("ctr", f"--address={SOCKET}", "--namespace=k8s.io")
CONFIGURATION = """\
version = 2
root = "{root}"
state = "/run/containerd/state"
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# where the machine does not let a process lower its out-of-memory score, runc must not try
restrict_oom_score_adj = true
[plugins."io.containerd.internal.v1.opt"]
path = "{root}/opt"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{cni}"
"""


def start(namespace: Namespace, name: str, root: Path, cni: Path) -> None:
    """Start a containerd in a namespace and wait until it serves.

    Args:
        namespace: where; it gets a /run of its own for sockets and the like.
        name: the process's.
        root: the folder for images and containers.
        cni: the folder with the network's configuration.
    """
    configuration = root.with_suffix(".toml")
    configuration.write_text(CONFIGURATION.format(root=root, socket=SOCKET, pause=images.BASE, cni=cni))
    namespace.run("mount", "-t", "tmpfs", "tmpfs", "/run")
    namespace.start(name, ["containerd", f"--config={configuration}"])
    namespace.until(f"{name} serves", lambda: _serves(namespace))


def ctr(namespace: Namespace, *arguments: str) -> str:
    """What containerd's own client prints, on the images and containers of Kubernetes."""
    return namespace.run(*CTR, *arguments)


def _serves(namespace: Namespace) -> bool:
    quiet = subprocess.DEVNULL
    done = subprocess.run(namespace.entering([*CTR, "version"]), check=False, stdout=quiet, stderr=quiet)
    return done.returncode == 0
