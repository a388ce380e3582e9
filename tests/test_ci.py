"""What `tests.ci` adds to a run of tests, in one process and in several."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.mark.{marker}
def test_skipped():
    pytest.skip("not here")

def test_other():
    pass
"""


@pytest.mark.parametrize(
    ("processes", "marker", "code"),
    [
        (0, "node", pytest.ExitCode.TESTS_FAILED),
        (2, "control_plane", pytest.ExitCode.TESTS_FAILED),
        (2, "another", pytest.ExitCode.OK),
    ],
)
def test_a_cluster_test_that_was_skipped_fails(
    processes: int, marker: str, code: pytest.ExitCode, tmp_path: Path
) -> None:
    (tmp_path / "test_it.py").write_text(TESTS.format(marker=marker))
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  control_plane\n  node\n  another\n")
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "tests.ci", f"--numprocesses={processes}"]
    alone = {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        command, check=False, cwd=tmp_path, env={**os.environ, **alone, "CI": "true"}, capture_output=True, text=True
    )
    assert "1 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert done.returncode == code
