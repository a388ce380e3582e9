"""A whole dashboard: the choices at the top, then rows of panels at their places of the grid."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from dashboards.pictures import graphs, texts
from dashboards.pictures.paint import FAINT, PAGE, TEXT, Box, panel_box

Json = Mapping[str, Any]

COLUMN, ROW, HEAD = 50.0, 26.0, 58.0  # points
COLUMNS = 24
DOTS_PER_INCH = 110

KINDS: dict[str, Callable[[Json, Json, Box], None]] = {
    "timeseries": graphs.timeseries,
    "xychart": graphs.xychart,
    "state-timeline": graphs.state_timeline,
    "stat": texts.stat,
    "bargauge": texts.bargauge,
    "table": texts.table,
    "text": texts.text,
}


def draw(board: Json, recorded: Json, file: Path) -> None:
    """Draw a dashboard.

    Args:
        board: the classic form, as JSON.
        recorded: ``start`` and ``end`` of the time in seconds since 1970, ``chosen`` values by variable, and
            ``answers`` of Prometheus' API by panel and query.
        file: where the picture goes.
    """
    places = [panel["gridPos"] for panel in board["panels"]]
    height = HEAD + ROW * max(place["y"] + place["h"] for place in places) + 8
    figure = Figure(figsize=(COLUMNS * COLUMN / 72, height / 72), dpi=DOTS_PER_INCH, facecolor=PAGE)
    _head(board, recorded, Box(figure, 0, height - HEAD, COLUMNS * COLUMN, HEAD))
    for panel in board["panels"]:
        place = panel["gridPos"]
        bottom = height - HEAD - ROW * (place["y"] + place["h"])
        box = Box(figure, COLUMN * place["x"] + 3, bottom + 3, COLUMN * place["w"] - 6, ROW * place["h"] - 6)
        title = interpolated(panel["title"], recorded["chosen"])
        if panel["type"] == "row":
            box.canvas().text(8, box.height / 2, f"▾  {title}", color=TEXT, fontsize=11, va="center")
        else:
            KINDS[panel["type"]](panel, recorded, panel_box(box, title))
    figure.savefig(file, metadata={"Software": None})


def interpolated(text: str, chosen: Json) -> str:
    """A title with the values of variables."""
    return re.sub(r"\$(\w+)", lambda match: str(chosen.get(match[1], match[0])), text)


def _head(board: Json, recorded: Json, box: Box) -> None:
    canvas = box.canvas()
    canvas.text(12, box.height - 16, board["title"], color=TEXT, fontsize=14, va="center")
    left = 12.0
    for variable in board["templating"]["list"]:
        value = recorded["chosen"].get(variable["name"])
        if value is None:
            continue
        shown = ", ".join(value) if isinstance(value, list) else value
        canvas.text(left, 14, variable["label"], color=FAINT, fontsize=9.5, va="center")
        left += 8 + 5.8 * len(variable["label"])
        canvas.text(left, 14, f"{shown} ▾", color=TEXT, fontsize=9.5, va="center")
        left += 30 + 5.8 * len(shown)
