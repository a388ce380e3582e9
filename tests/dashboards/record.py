"""``python -m tests.dashboards.record FILE``: search, and keep what Prometheus answers to every panel, for pictures."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from tests.cluster.control_plane import ControlPlane
from tests.dashboards.asked import Asker, choices
from tests.dashboards.classic import BOARDS, panels
from tests.dashboards.searched import Pace, Scraped, best_trial, searched

# Longer than in tests, so that curves can be seen.
PACE = Pace(trials=30, epochs=12, epoch=1.2, interval=1)


def recorded(scraped: Scraped) -> dict[str, Any]:
    """For each dashboard the time, what was chosen, and the answers by panel and query."""
    asker = Asker(scraped.url, scraped.since, time.time())
    wanted = {**scraped.wanted, "trial": best_trial(scraped), "metric": "accuracy", "against": "params"}
    boards = {}
    for name, board in BOARDS.items():
        (chosen,) = choices(asker, board["templating"]["list"], wanted)
        answers = {
            str(panel["id"]): {query["refId"]: asker.answer(query, chosen) for query in panel.get("targets", ())}
            for panel in panels(board)
        }
        boards[name] = {"start": asker.start, "end": asker.end, "chosen": chosen, "answers": answers}
    return boards


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.dashboards.record", description=__doc__)
    parser.add_argument("file", type=Path)
    file: Path = parser.parse_args().file
    with ControlPlane() as control_plane, searched(control_plane, PACE, "vision") as scraped:
        file.write_text(json.dumps(recorded(scraped)))


if __name__ == "__main__":
    main()
