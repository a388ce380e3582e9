"""The chart of `deploy/helm` on a cluster, by the real Helm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster import programs
from tests.cluster.control_plane import REPOSITORY, ControlPlane

if TYPE_CHECKING:
    from pathlib import Path

CHART = REPOSITORY / "deploy" / "helm" / "kubenas"


def helm(cluster: ControlPlane, *arguments: str) -> str:
    """What Helm prints, as cluster administrator.

    Raises:
        subprocess.CalledProcessError: it failed; Helm's message is in the error's notes.
    """
    return cluster.run(str(programs.helm() / "helm"), *arguments)


class Release:
    """An installation by Helm.

    Args:
        program: Helm, if not of its newest version.

    Attributes:
        name: the release's.
        namespace: where it is installed.
    """

    def __init__(
        self, cluster: ControlPlane, namespace: str, name: str = "kubenas", program: Path | None = None
    ) -> None:
        self._cluster = cluster
        self._program = program or programs.helm() / "helm"
        self.name, self.namespace = name, namespace

    def install(self, *arguments: str, chart: Path = CHART) -> str:
        """Install a chart."""
        return self._helm("install", self.name, str(chart), *arguments)

    def upgrade(self, *arguments: str, chart: Path = CHART) -> str:
        """Upgrade to a chart."""
        return self._helm("upgrade", self.name, str(chart), *arguments)

    def rollback(self, revision: int) -> str:
        """Go back to a revision."""
        return self._helm("rollback", self.name, str(revision))

    def uninstall(self, *arguments: str) -> str:
        """Take all away that the chart does not keep."""
        return self._helm("uninstall", self.name, *arguments)

    def _helm(self, *arguments: str) -> str:
        return self._cluster.run(str(self._program), *arguments, f"--namespace={self.namespace}")
