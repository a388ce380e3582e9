"""docs/security.md names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def named() -> list[tuple[str, str | None]]:
    """File and test of each reference; a test without a file is in the one named before it in its row."""
    found: list[tuple[str, str | None]] = []
    for line in (ROOT / "docs/security.md").read_text().splitlines():
        file = None
        for path, test in re.findall(r"`(tests/[\w/]+\.py)?(?:::(test_\w+))?`", line):
            file = path or file
            if file:
                found.append((file, test or None))
    return found


@pytest.mark.parametrize(("file", "test"), named())
def test_each_claims_test_exists(file: str, test: str | None) -> None:
    functions = {
        node.name
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert test in functions if test else any(name.startswith("test_") for name in functions)


def test_the_page_names_tests() -> None:
    assert len(named()) > 20
