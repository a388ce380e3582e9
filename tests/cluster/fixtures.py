"""The clusters that tests share, as fixtures.

On a machine without what they need a test is skipped, with the reason; in CI it fails.
"""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.cluster import kueue_controller, programs
from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import ControlPlane
from tests.cluster.installed import install
from tests.cluster.system import MissingPrerequisiteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

AnyCluster = TypeVar("AnyCluster", bound=ControlPlane)
Built = TypeVar("Built")


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """A real API with its controllers and no nodes, one for the session."""
    with _running(ControlPlane(), request) as running:
        yield running


@pytest.fixture(scope="session")
def promtool(request: pytest.FixtureRequest) -> Path:
    """The program that checks and tests Prometheus' rules and metrics."""
    return _built(programs.promtool, request)


@pytest.fixture(scope="session")
def krew(request: pytest.FixtureRequest) -> Path:
    """The program that manages kubectl's plugins."""
    return _built(programs.krew, request)


@pytest.fixture(scope="session")
def kubernetes_programs(request: pytest.FixtureRequest) -> Path:
    """The folder with kubectl."""
    return _built(programs.kubernetes, request)


@pytest.fixture
def empty_control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """Another such API, one for the test: nothing is installed on it."""
    with _running(ControlPlane(), request) as running:
        yield running


@pytest.fixture(scope="session")
def kueue_control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """Another such API with Kueue's controller, one for the session: its webhooks see all pods."""
    with _running(ControlPlane(), request) as running:
        _built(lambda: kueue_controller.start(running), request)
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A fresh namespace of the control plane; it is deleted with the test."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    control_plane.wait_for_service_account(name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A whole cluster of two nodes with this repository's images, one for the session."""
    with _running(Cluster(), request) as running:
        yield running


@pytest.fixture(scope="session")
def installed_cluster(cluster: Cluster) -> Cluster:
    """The cluster with the operator and Prometheus, installed as a user does it."""
    install(cluster)
    return cluster


@contextmanager
def _running(cluster: AnyCluster, request: pytest.FixtureRequest) -> Iterator[AnyCluster]:
    with ExitStack() as stack:
        _built(lambda: stack.enter_context(cluster), request)
        yield cluster
        cluster.keep_logs = request.session.testsfailed > 0


def _built(build: Callable[[], Built], request: pytest.FixtureRequest) -> Built:
    """What `build` makes; without what it needs on this machine the test is skipped, and fails in CI."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    try:
        # building what is not in the cache takes minutes, and says so
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            return build()
    except MissingPrerequisiteError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
