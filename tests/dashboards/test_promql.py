"""Every query as Prometheus' own parser reads it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.cluster import programs
from tests.dashboards.asked import interpolated
from tests.dashboards.classic import queries

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.control_plane


def checked(folder: Path, expressions: list[str]) -> subprocess.CompletedProcess[str]:
    rules = [{"record": f"query:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    command = [str(programs.promtool()), "check", "rules", "--lint=none", str(file)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_queries_are_promql(tmp_path: Path) -> None:
    found = checked(tmp_path, [interpolated(query["expr"], {}) for _, _, query in queries()])
    assert found.returncode == 0, found.stdout + found.stderr
    assert checked(tmp_path, ["sum by (x (y)"]).returncode != 0
