"""What the images are built from."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("path", "extras"),
    [("trial_image/requirements.txt", ["trial"]), ("deploy/requirements.txt", ["operator", "search"])],
)
def test_requirements_are_as_locked(path: str, extras: list[str]) -> None:
    options = [f"--extra={extra}" for extra in extras]
    locked = subprocess.run(
        [
            os.environ.get("UV", "uv"),
            "export",
            "--quiet",
            "--frozen",
            "--offline",
            "--no-header",
            "--no-dev",
            "--no-emit-project",
        ]
        + ["--no-annotate", *options],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    there = [line for line in (ROOT / path).read_text().splitlines() if not line.startswith("#")]
    assert there == locked, f"{path} is stale: run `make lock`"
