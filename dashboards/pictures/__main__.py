"""``python -m dashboards.pictures ANSWERS FOLDER``: a picture of each dashboard, of answers that were recorded."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from dashboards.generate import rendered
from dashboards.pictures.page import draw


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.pictures", description=__doc__)
    parser.add_argument("answers", type=Path, help="for each dashboard: start, end, chosen and answers")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    files = rendered()
    for name, recorded in json.loads(arguments.answers.read_text()).items():
        draw(json.loads(files[f"{name}.json"]), recorded, arguments.folder / f"dashboard-{name}.png")


if __name__ == "__main__":
    main()
