from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.operator.harness import Operator, Workspace, install_resources, temporary_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.control_plane import ControlPlane


@pytest.fixture(scope="session")
def installed(control_plane: ControlPlane) -> ControlPlane:
    """A control plane with the project's resources."""
    install_resources(control_plane)
    return control_plane


@pytest.fixture
def workspace(installed: ControlPlane) -> Iterator[Workspace]:
    with temporary_workspace(installed) as workspace:
        yield workspace


@pytest.fixture
def other_workspace(installed: ControlPlane) -> Iterator[Workspace]:
    with temporary_workspace(installed) as workspace:
        yield workspace


@pytest.fixture
def operator(workspace: Workspace) -> Operator:
    """An operator that is ready."""
    return workspace.operator().start().wait_ready()
