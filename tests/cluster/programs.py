"""Builds the programs of a Kubernetes cluster from their Go modules, once for a version.

``python -m tests.cluster.programs`` builds them all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster import cache
from tests.cluster.system import MissingPrerequisiteError, progress

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
COREDNS = "v1.15.0"
SOURCE = Path(__file__).parent / "kube"
PROMETHEUS = Path(__file__).parent / "prometheus"


def kubernetes() -> Path:
    """The folder with etcd and the programs of Kubernetes, built first where needed (some 6 minutes on two cores)."""
    sources = [(SOURCE / name).read_bytes() for name in ("main.go", "go.mod", "go.sum")]
    return _built(f"kubernetes-{cache.key(sources)}", _build_kubernetes)


def coredns() -> Path:
    """The folder with CoreDNS, built first where needed (some 2 minutes on two cores)."""
    return _built(f"coredns-{COREDNS}", _build_coredns)


def prometheus() -> Path:
    """The folder with Prometheus, built first where needed (some 3 minutes on two cores).

    Debian's package leaves out the discovery of Kubernetes' pods; this has no other.
    """
    sources = [(PROMETHEUS / name).read_bytes() for name in ("go.mod", "go.sum")]
    return _built(f"prometheus-{cache.key(sources)}", _build_prometheus)


def _built(name: str, build: Callable[[Path], None]) -> Path:
    folder = cache.root() / name
    if folder.exists():
        return folder
    with cache.lock(name):
        if folder.exists():  # another process built it meanwhile
            return folder
        if shutil.which("go") is None:
            raise MissingPrerequisiteError(
                "Go is not on PATH: the test cluster builds Kubernetes from source with it. "
                "Install Go 1.26 or later from https://go.dev/dl"
            )
        with (
            progress(f"Building {name}, once for this machine"),
            tempfile.TemporaryDirectory(dir=cache.root()) as unfinished,
        ):
            build(Path(unfinished))
            Path(unfinished).chmod(0o755)
            Path(unfinished).rename(folder)
            Path(unfinished).mkdir()  # for the context manager to remove
    return folder


def _build_kubernetes(folder: Path) -> None:
    version = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes"],
        cwd=SOURCE,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.strip()
    major, minor, _ = version.removeprefix("v").split(".")
    stamp = "k8s.io/component-base/version"
    flags = f"-s -w -X {stamp}.gitVersion={version} -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}"
    subprocess.run(
        ["go", "build", "-trimpath", "-buildvcs=false", f"-ldflags={flags}", f"-o={folder}/kube", "."],
        cwd=SOURCE,
        env=os.environ | {"CGO_ENABLED": "0"},
        check=True,
    )
    for program in PROGRAMS:
        (folder / program).symlink_to("kube")


def _build_coredns(folder: Path) -> None:
    subprocess.run(
        ["go", "install", f"github.com/coredns/coredns@{COREDNS}"],
        env=os.environ | {"CGO_ENABLED": "0", "GOBIN": str(folder)},
        check=True,
    )


def _build_prometheus(folder: Path) -> None:
    subprocess.run(
        [
            "go",
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags=-s -w",
            "-tags=remove_all_sd,enable_kubernetes_sd",
            f"-o={folder}/prometheus",
            "github.com/prometheus/prometheus/cmd/prometheus",
        ],
        cwd=PROMETHEUS,
        env=os.environ | {"CGO_ENABLED": "0"},
        check=True,
    )


if __name__ == "__main__":
    print(kubernetes(), coredns(), prometheus(), sep="\n")
