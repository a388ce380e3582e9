"""What becomes of the cluster's tests on a machine that cannot run a cluster."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import programs, system
from tests.cluster.control_plane import REPOSITORY
from tests.cluster.system import MissingPrerequisiteError


@pytest.fixture
def machine_without_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBENAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("machine_without_go")
def test_who_has_no_go_is_told_where_to_get_it() -> None:
    with pytest.raises(MissingPrerequisiteError, match=r"Go is not on PATH: .* https://go\.dev/dl"):
        programs.kubernetes()


@pytest.mark.usefixtures("machine_without_go")
def test_who_has_no_debian_is_told_what_to_install() -> None:
    with pytest.raises(MissingPrerequisiteError, match=r"not a Debian machine: install the like of buildah .* runc"):
        system.install()


@pytest.mark.parametrize(("ci", "outcome"), [("false", "1 skipped"), ("true", "1 error")])
@pytest.mark.usefixtures("machine_without_go")
def test_a_machine_without_go_skips_where_people_work_and_fails_in_ci(ci: str, outcome: str) -> None:
    test = "tests/cluster/test_control_plane.py::test_kubectl_failing_says_why"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test],
        cwd=REPOSITORY,
        env=os.environ | {"CI": ci},
        check=False,
        capture_output=True,
        text=True,
    )
    assert outcome in done.stdout
    assert re.search("Go is not on PATH|needs root", done.stdout)
    assert (done.returncode == 0) == (ci == "false")


def test_a_command_that_fails_says_what_it_printed() -> None:
    with pytest.raises(RuntimeError, match="status 3:\nout\nerr"):
        system.run("sh", "-c", "echo out; echo err >&2; exit 3")
