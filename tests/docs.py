"""What the documentation shows, for tests that it works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).parents[1] / "docs"


def manifests(page: str, kind: str) -> list[dict[str, Any]]:
    """The objects of a kind in the YAML blocks of a page, in its order."""
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    documents = [document for block in blocks for document in yaml.safe_load_all(block)]
    return [document for document in documents if isinstance(document, dict) and document.get("kind") == kind]
