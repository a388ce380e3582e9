"""The dashboards of the classic schema as tests read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dashboards.generate import rendered

NAMES = ("fleet", "experiment", "trial", "operator")
FILES = rendered()
BOARDS: dict[str, dict[str, Any]] = {name: json.loads(FILES[f"{name}.json"]) for name in NAMES}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Its panels without the rows' headings."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every query of every panel: the dashboard's name, the panel, the query."""
    for name, board in BOARDS.items():
        for panel in panels(board):
            for query in panel.get("targets", ()):
                yield name, panel, query
