"""In CI a cluster test that was skipped has failed, whatever it was skipped for."""

from __future__ import annotations

import os

import pytest

_CLUSTER_MARKERS = frozenset({"control_plane", "node"})
_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not _CLUSTER_MARKERS.isdisjoint(report.keywords):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("CI") == "true" and _skipped:
        print(f"\nskipped in CI: {', '.join(_skipped)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
