"""What the documentation shows, for tests that it works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).parents[1] / "docs"


def manifests(page: str, kind: str) -> list[dict[str, Any]]:
    """The objects of a kind in the YAML blocks of a page, in its order."""
    return [document for document in _documents(page) if document.get("kind") == kind]


def fragments(page: str, field: str) -> list[dict[str, Any]]:
    """The YAML blocks of a page that are parts of an object and have a field."""
    return [document for document in _documents(page) if field in document and "kind" not in document]


def _documents(page: str) -> list[dict[str, Any]]:
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    found = [document for block in blocks for document in yaml.safe_load_all(block)]
    return [document for document in found if isinstance(document, dict)]
