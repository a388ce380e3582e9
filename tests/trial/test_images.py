"""What the images are built from."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


REQUIREMENTS = {
    "trial_image/requirements.txt": ["--extra=trial"],
    "deploy/requirements.txt": ["--extra=operator", "--extra=search"],
}


@pytest.mark.parametrize(("path", "extras"), REQUIREMENTS.items())
def test_requirements_are_as_locked(path: str, extras: list[str]) -> None:
    uv = os.environ.get("UV", "uv")
    export = [uv, "export", "--quiet", "--frozen", "--offline", "--no-header", "--no-dev", "--no-emit-project"]
    locked = subprocess.run(
        [*export, "--no-annotate", *extras], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    there = [line for line in (ROOT / path).read_text().splitlines() if not line.startswith("#")]
    assert there == locked, f"{path} is stale: run `make lock`"
