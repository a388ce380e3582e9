"""`kubenas version`."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_it_is_the_projects() -> None:
    done = subprocess.run([sys.executable, "-m", "kubenas.cli", "version"], check=True, capture_output=True, text=True)
    assert done.stdout == f"kubenas {tomllib.loads(PROJECT.read_text())['project']['version']}\n"
