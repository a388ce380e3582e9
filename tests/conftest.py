"""What all tests share."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

pytest_plugins = ["tests.cluster.fixtures"]

# Time says more about the machine than about the code; CI draws the same examples every time.
settings.register_profile("kubenas", deadline=None, derandomize=bool(settings().derandomize))
settings.load_profile("kubenas")

_CLUSTER_MARKERS = frozenset({"control_plane", "node"})
_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not _CLUSTER_MARKERS.isdisjoint(report.keywords):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a cluster test that was skipped has failed, whatever it was skipped for."""
    if os.environ.get("CI") == "true" and _skipped:
        print(f"\nskipped in CI: {', '.join(_skipped)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
