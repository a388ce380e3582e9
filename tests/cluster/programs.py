"""Builds the programs of a Kubernetes cluster from their Go modules, once for what a module's files say.

``python -m tests.cluster.programs`` builds them all.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster import cache
from tests.cluster.system import MissingPrerequisiteError, progress

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = Path(__file__).parent
KUBERNETES = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)


def kubernetes() -> Path:
    """The folder with etcd and the programs of Kubernetes, built first where needed (some 6 minutes on two cores)."""
    with _build_folder("kube") as (folder, unfinished):
        if unfinished:
            version = _go("kube", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes").strip()
            major, minor, _ = version.removeprefix("v").split(".")
            stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
            flags = [f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamps.items()]
            _compile("kube", unfinished / "kube", ".", linker_flags=flags)
            for program in KUBERNETES:
                (unfinished / program).symlink_to("kube")
    return folder


def coredns() -> Path:
    """The folder with CoreDNS, built first where needed (some 2 minutes on two cores)."""
    return _built("coredns", "coredns", ".")


def prometheus() -> Path:
    """The folder with Prometheus, built first where needed (some 3 minutes on two cores).

    Debian's package leaves out the discovery of Kubernetes' pods; this has no other.
    """
    package = "github.com/prometheus/prometheus/cmd/prometheus"
    return _built("prometheus", "prometheus", package, "-tags=remove_all_sd,enable_kubernetes_sd")


def promtool() -> Path:
    """Prometheus' own checker of metrics and rules, built first where needed (some 3 minutes on two cores)."""
    with _build_folder("prometheus", "promtool") as (folder, unfinished):
        if unfinished:
            package = "github.com/prometheus/prometheus/cmd/promtool"
            _compile("prometheus", unfinished / "promtool", package, "-tags=remove_all_sd")
    return folder / "promtool"


def helm() -> Path:
    """The folder with Helm, built first where needed (some 2 minutes on two cores)."""
    with _build_folder("helm") as (folder, unfinished):
        if unfinished:
            version = _go("helm", "list", "-m", "-f", "{{.Version}}", "helm.sh/helm/v4").strip()
            stamp = f"-X helm.sh/helm/v4/internal/version.version={version}"
            _compile("helm", unfinished / "helm", "helm.sh/helm/v4/cmd/helm", linker_flags=[stamp])
    return folder


def helm3() -> Path:
    """The folder with Helm of its last major version, built first where needed (some 2 minutes on two cores)."""
    return _built("helm3", "helm", "helm.sh/helm/v3/cmd/helm")


def helm_docs() -> Path:
    """The folder with helm-docs, built first where needed (less than a minute on two cores)."""
    return _built("helmdocs", "helm-docs", "github.com/norwoodj/helm-docs/cmd/helm-docs")


def prometheus_operator() -> Path:
    """The folder with the Prometheus operator and its CRDs in ``crds``, built first where needed (some 80 s)."""
    package = "github.com/prometheus-operator/prometheus-operator"
    return _built_beside(
        "prometheusoperator", "prometheus-operator", package, "cmd/operator", "example/prometheus-operator-crd", "crds"
    )


def karpenter() -> Path:
    """The folder with Karpenter for kwok's nodes, built first where needed (some 2 minutes on two cores)."""
    return _built("karpenter", "karpenter", "sigs.k8s.io/karpenter/kwok")


def karpenter_crds() -> Path:
    """The folder with Karpenter's CRDs and those of its provider for kwok, from the module's sources."""
    with _build_folder("karpenter", "karpenter-crds") as (folder, unfinished):
        if unfinished:
            # Nothing may have been built of the module yet, so that its sources are not there.
            source = json.loads(_go("karpenter", "mod", "download", "-json", "sigs.k8s.io/karpenter"))["Dir"]
            for part in ("pkg", "kwok"):
                shutil.copytree(f"{source}/{part}/apis/crds", unfinished, dirs_exist_ok=True)
    return folder


def kwok() -> Path:
    """The folder with kwok, which plays the kubelet of nodes that are objects only (some 2 minutes on two cores)."""
    return _built("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok")


def kueue() -> Path:
    """The folder with Kueue's controller and the manifests of its release in ``config``, built first where needed.

    That takes some 3 minutes on two cores.
    """
    return _built_beside("kueue", "kueue", "sigs.k8s.io/kueue", "cmd/kueue", "config", "config")


def krew() -> Path:
    """kubectl's manager of plugins, built first where needed (some 15 seconds on two cores)."""
    return _built("krew", "krew", "sigs.k8s.io/krew/cmd/krew") / "krew"


def _built(module: str, program: str, package: str, *flags: str) -> Path:
    """The folder with the one program of a module, built first where needed."""
    with _build_folder(module) as (folder, unfinished):
        if unfinished:
            _compile(module, unfinished / program, package, *flags)
    return folder


def _built_beside(module: str, program: str, package: str, command: str, manifests: str, name: str) -> Path:
    """The folder with a program and, by `name`, a folder of manifests from its package's sources."""
    with _build_folder(module) as (folder, unfinished):
        if unfinished:
            _compile(module, unfinished / program, f"{package}/{command}")
            source = _go(module, "list", "-m", "-f", "{{.Dir}}", package).strip()
            shutil.copytree(f"{source}/{manifests}", unfinished / name)
    return folder


@contextmanager
def _build_folder(module: str, built: str | None = None) -> Iterator[tuple[Path, Path | None]]:
    """The folder for what a module's files build, and, where that is yet to be built, the folder to build it in.

    Args:
        built: what is built, where the module has more than one build.
    """
    sources = sorted(file for file in (MODULES / module).iterdir() if file.suffix in (".go", ".mod", ".sum"))
    folder = cache.root() / f"{built or module}-{cache.key(file.read_bytes() for file in sources)}"
    with cache.lock(built or module):
        if folder.exists():
            yield folder, None
            return
        if shutil.which("go") is None:
            raise MissingPrerequisiteError(
                "Go is not on PATH: the test cluster builds Kubernetes from source with it. "
                "Install Go 1.26 or later from https://go.dev/dl"
            )
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        with progress(f"Building {built or module}, once for this machine"):
            yield folder, unfinished
        unfinished.rename(folder)


def _compile(module: str, program: Path, package: str, *flags: str, linker_flags: list[str] | None = None) -> None:
    linker = " ".join(["-s", "-w", *(linker_flags or [])])
    _go(module, "build", "-trimpath", "-buildvcs=false", f"-ldflags={linker}", f"-o={program}", *flags, package)


def _go(module: str, *arguments: str) -> str:
    """What Go prints; what it says goes where this process's errors go, as it takes its time."""
    done = subprocess.run(
        ["go", *arguments],
        cwd=MODULES / module,
        env=os.environ | {"CGO_ENABLED": "0"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


if __name__ == "__main__":
    built = (
        *(kubernetes(), coredns(), prometheus(), promtool(), prometheus_operator()),
        *(helm(), helm_docs(), krew(), kueue(), karpenter(), kwok()),
    )
    print(*built, sep="\n")
