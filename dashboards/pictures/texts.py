"""Panels without axes: numbers, bars, tables and prose."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from matplotlib.patches import Rectangle

from dashboards.pictures.frames import lines, rows
from dashboards.pictures.numbers import written
from dashboards.pictures.paint import EDGE, FAINT, GRID, LINK, NORMAL, SMALL, TEXT, Box, Look, fitted, nothing

Json = Mapping[str, Any]
ROW = 19


def stat(panel: Json, recorded: Json, box: Box) -> None:
    """Large numbers beside each other."""
    look, found = Look.of(panel), lines(panel, recorded["answers"][str(panel["id"])])
    if not found:
        return nothing(box)
    mode, canvas = panel["options"]["textMode"], box.canvas()
    width = box.width / len(found)
    for place, line in enumerate(found):
        color = look.threshold_color(line.last)
        value = line.name if mode == "name" else written(line.last, look.defaults["unit"], recorded["end"])
        middle = width * (place + 0.5)
        named = mode == "value_and_name" or (mode == "auto" and len(found) > 1)
        size = min(25.0, (width - 8) / (0.62 * max(len(value), 1)), 0.5 * box.height)
        at = box.height * (0.44 if named else 0.55)
        canvas.text(middle, at, value, color=color, fontsize=size, ha="center", va="center")
        if named:
            name = fitted(line.name, width, NORMAL)
            canvas.text(middle, box.height * 0.92, name, color=TEXT, fontsize=NORMAL, ha="center", va="center")
    return None


def bargauge(panel: Json, recorded: Json, box: Box) -> None:
    """A bar for each value, the longest as wide as the panel."""
    look, found = Look.of(panel), lines(panel, recorded["answers"][str(panel["id"])])
    if not found:
        return nothing(box)
    canvas, most = box.canvas(), max(line.last for line in found) or 1
    names = min(0.45 * box.width, 10 + 0.6 * NORMAL * max(len(line.name) for line in found))
    step = min(30.0, box.height / len(found))
    for place, line in enumerate(found):
        y, room = box.height - step * (place + 1), box.width - names - 56
        canvas.text(0, y + step / 2, fitted(line.name, names), color=TEXT, fontsize=NORMAL, va="center")
        canvas.add_patch(Rectangle((names, y + 0.12 * step), room, 0.76 * step, fc=EDGE, ec="none"))
        color = look.threshold_color(line.last)
        canvas.add_patch(
            Rectangle((names, y + 0.12 * step), room * line.last / most, 0.76 * step, fc=color, alpha=0.75)
        )
        text = written(line.last, look.defaults["unit"])
        canvas.text(box.width, y + step / 2, text, color=color, fontsize=NORMAL, ha="right", va="center")
    return None


def table(panel: Json, recorded: Json, box: Box) -> None:
    """Rows and columns, as many as there is room for."""
    look, found = Look.of(panel), rows(panel, recorded["answers"][str(panel["id"])])
    if not found:
        return nothing(box)
    canvas, columns = box.canvas(), list(found[0])
    text = [[_cell(look, name, row[name], recorded["end"]) for name in columns] for row in found]
    widths = [max(len(name), *(len(cells[i]) for cells in text)) + 2 for i, name in enumerate(columns)]
    starts = [box.width * sum(widths[:i]) / sum(widths) for i in range(len(columns) + 1)]
    for i, name in enumerate(columns):
        canvas.text(starts[i], box.height - 8, name, color=LINK, fontsize=SMALL, va="center")
    for place, cells in enumerate(text[: int((box.height - 18) / ROW)]):
        y = box.height - 18 - ROW * (place + 0.5)
        canvas.plot([0, box.width], [y + ROW / 2] * 2, color=GRID, lw=0.6)
        for i, name in enumerate(columns):
            value = found[place][name]
            mapped = look.mapped(value, name)
            color = mapped[1] if mapped else LINK if look.get(name, "links") else TEXT
            left = starts[i]
            if (look.get(name, "custom.cellOptions") or {}).get("type") == "gauge" and value is not None:
                room = 0.55 * (starts[i + 1] - left)
                canvas.add_patch(Rectangle((left, y - 5), room, 10, fc=EDGE, ec="none"))
                canvas.add_patch(Rectangle((left, y - 5), room * min(1, value), 10, fc="#5794f2", alpha=0.8))
                left += room + 5
            shown = fitted(cells[i], starts[i + 1] - left, SMALL)
            canvas.text(left, y, shown, color=color, fontsize=SMALL, va="center")
    return None


def _cell(look: Look, name: str, value: Any, now: float) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return written(value, look.get(name, "unit", "short"), now)


def text(panel: Json, recorded: Json, box: Box) -> None:
    """Words: paragraphs, links, and code set apart."""
    said = re.sub(
        r"\$\{(\w+)\}", lambda match: str(recorded["chosen"].get(match[1], match[0])), panel["options"]["content"]
    )
    said = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", said).replace("*", "")
    canvas, y, code = box.canvas(), box.height - 10, False
    for line in said.splitlines():
        if line.startswith("```"):
            code = not code
            continue
        font = "monospace" if code else "sans-serif"
        color = FAINT if code else TEXT
        for part in _wrapped(line, int(box.width / (0.62 * NORMAL))):
            canvas.text(8 if code else 0, y, part, color=color, fontsize=NORMAL, va="center", family=font)
            y -= 15


def _wrapped(line: str, width: int) -> list[str]:
    parts, current = [], ""
    for word in line.split(" "):
        if current and len(current) + len(word) + 1 > width:
            parts.append(current)
            current = ""
        current = f"{current} {word}".strip()
    return [*parts, current]
