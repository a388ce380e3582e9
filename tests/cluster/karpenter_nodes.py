"""Karpenter's kinds on a control plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster import programs

if TYPE_CHECKING:
    from tests.cluster.control_plane import ControlPlane

CRDS = ("nodepools.karpenter.sh", "nodeclaims.karpenter.sh", "kwoknodeclasses.karpenter.kwok.sh")


def install_crds(control_plane: ControlPlane) -> None:
    """Have the apiserver know Karpenter's kinds."""
    control_plane.kubectl("apply", "--server-side", f"--filename={programs.karpenter_crds()}")
    control_plane.kubectl("wait", "--for=condition=Established", *(f"crd/{crd}" for crd in CRDS), "--timeout=60s")
