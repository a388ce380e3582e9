"""The pages that name tests as their evidence name tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("docs/security.md", "docs/capabilities.md")


def named(text: str) -> list[tuple[str, str | None]]:
    """File and test of each reference; a test without a file is in the one named before it in its row."""
    found: list[tuple[str, str | None]] = []
    for line in text.splitlines():
        file = None
        for path, test in re.findall(r"`(tests/[\w/]+\.py)?(?:::(test_\w+))?`", line):
            file = path or file
            if file:
                found.append((file, test or None))
    return found


def claims() -> list[tuple[str, str | None]]:
    return [claim for page in PAGES for claim in named((ROOT / page).read_text())]


@pytest.mark.parametrize(("file", "test"), claims())
def test_each_claims_test_exists(file: str, test: str | None) -> None:
    functions = {
        node.name
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert test in functions if test else any(name.startswith("test_") for name in functions)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_names_tests(page: str) -> None:
    assert len(named((ROOT / page).read_text())) > 20


def test_each_capability_that_is_there_has_its_evidence() -> None:
    rows = re.findall(r"^\| ([^|]+?) \| (\w+) \| (.*?) ?\|$", (ROOT / "docs/capabilities.md").read_text(), re.MULTILINE)
    assert {answer for _, answer, _ in rows} == {"yes", "partly", "no"}
    without = [what for what, answer, shown in rows if answer != "no" and not named(shown) and "same test" not in shown]
    assert without == []
