"""Writes the dashboards: ``python -m dashboards.generate``, classic ones to a folder, newer ones to ``v2`` in it."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.boards import boards
from dashboards.dynamic import dynamic

FOLDER = Path("deploy/helm/kubenas/files/dashboards")


def rendered() -> dict[str, str]:
    """Each file's path in the folder and its JSON text."""
    files: dict[str, str] = {}
    for name, board in boards().items():
        files[f"{name}.json"] = text = _text(board)
        files[f"v2/{name}.json"] = _text(dynamic(json.loads(text)))
    return files


def _text(document: object) -> str:
    return JSONEncoder(indent=1, sort_keys=True, ensure_ascii=False).encode(document) + "\n"


def main(folder: Path) -> None:
    """Write every dashboard."""
    for name, text in rendered().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main(FOLDER)
