"""What all tests share."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import settings

pytest_plugins = ["tests.cluster.fixtures"]

# Time says more about the machine than about the code; CI draws the same examples every time.
settings.register_profile("kubenas", deadline=None, derandomize=bool(settings().derandomize))
settings.load_profile("kubenas")

_CLUSTER_MARKERS = frozenset({"control_plane", "node"})
_skipped: list[str] = []


@pytest.fixture(scope="session")
def far() -> str:
    """An address of this machine that others could reach, as a service in a cluster has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            pytest.skip("this machine has no address but its loopback one")
        address: str = probe.getsockname()[0]
    return address


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not _CLUSTER_MARKERS.isdisjoint(report.keywords):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a cluster test that was skipped has failed, whatever it was skipped for."""
    if os.environ.get("CI") == "true" and _skipped:
        print(f"\nskipped in CI: {', '.join(_skipped)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
