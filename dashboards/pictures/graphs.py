"""Panels with axes: lines over time, points, states over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dashboards.pictures.frames import Line, joined, lines, rows
from dashboards.pictures.numbers import written
from dashboards.pictures.paint import FAINT, PALETTE, SMALL, TEXT, Box, Look, fitted, legend, nothing, style

Json = Mapping[str, Any]


def timeseries(panel: Json, recorded: Json, box: Box) -> None:
    """Lines over time, stacked where the panel says so."""
    look, found = Look.of(panel), lines(panel, recorded["answers"][str(panel["id"])])
    if not found:
        return nothing(box)
    colors = {line.name: look.line_color(line.name, place) for place, line in enumerate(found)}
    right = [line for line in found if look.get(line.name, "custom.axisPlacement") == "right"]
    below = legend(box, colors)
    axes = box.axes(left=46, bottom=below + 20, right=36 if right else 8, top=4)
    style(axes)
    _time_axis(axes, recorded)
    highest = -math.inf
    stack = [line for line in found if _stacked(look, line.name)]
    if stack:
        stepped = look.get("", "custom.lineInterpolation") == "stepAfter"
        highest = _areas(axes, stack, colors, stepped=stepped)
    for line in found:
        if line not in stack:
            other = axes.twinx() if line in right else axes
            _line(other, line, colors[line.name], look)
            if other is not axes:
                style(other)
                other.grid(visible=False)
                other.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    values = [value for line in found if line not in right for value in line.values if math.isfinite(value)]
    _value_axis(axes, look, [*values, highest], [*values, 0.0] if stack else values)
    return None


def _stacked(look: Look, name: str) -> bool:
    return bool(look.get(name, "custom.stacking", {"mode": "none"})["mode"] == "normal")


def _line(axes: Axes, line: Line, color: str, look: Look) -> None:
    dashed = (look.get(line.name, "custom.lineStyle") or {}).get("fill") == "dash"
    drawn = "steps-post" if look.get("", "custom.lineInterpolation") == "stepAfter" else "default"
    times, values = _gapped(line)
    marker = "." if np.isfinite(values).sum() < 3 else None
    style_ = (0, (4, 3)) if dashed else "-"
    axes.plot(times, values, color=color, lw=1.4, ls=style_, drawstyle=drawn, marker=marker, ms=3)
    opacity = look.get(line.name, "custom.fillOpacity", 0)
    if opacity and not dashed:
        axes.fill_between(
            times, values, 0, color=color, alpha=opacity / 100, lw=0, step="post" if drawn == "steps-post" else None
        )


def _gapped(line: Line) -> tuple[Any, Any]:
    """Times and values with a gap where samples are missing."""
    times, values = np.array(line.times), np.array(line.values, dtype=float)
    if len(times) > 2:
        gaps = np.flatnonzero(np.diff(times) > 2.5 * np.min(np.diff(times)))
        times = np.insert(times, gaps + 1, times[gaps] + 0.1)
        values = np.insert(values, gaps + 1, np.nan)
    return times, values


def _areas(axes: Axes, stack: Sequence[Line], colors: Mapping[str, str], *, stepped: bool) -> float:
    """Draw areas on top of each other; how high they come."""
    times = np.array(sorted({time for line in stack for time in line.times}))
    base = np.zeros(len(times))
    for line in stack:
        at = dict(zip(line.times, line.values, strict=True))
        top = base + np.nan_to_num(np.array([at.get(time, 0.0) for time in times]))
        axes.fill_between(
            times, base, top, color=colors[line.name], alpha=0.6, lw=0.8, step="post" if stepped else None
        )
        base = top
    return float(base.max())


def _time_axis(axes: Axes, recorded: Json) -> None:
    axes.set_xlim(recorded["start"], recorded["end"])
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"))


def _value_axis(axes: Axes, look: Look, tops: Sequence[float], bottoms: Sequence[float]) -> None:
    """Fit the axis to its values, or to the panel's bounds."""
    low, high = look.defaults.get("min"), look.defaults.get("max")
    least, most = min(bottoms, default=0.0), max(tops, default=1.0)
    least = least if low is None else low
    most = max(most, look.get("", "custom.axisSoftMax", most)) if high is None else high
    room = 0.06 * (most - least) or 0.5
    axes.set_ylim(least - (room if low is None else 0), most + room)
    unit = look.defaults["unit"]
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=look.defaults.get("decimals") == 0))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, unit)))


def xychart(panel: Json, recorded: Json, box: Box) -> None:
    """Points, each a row of the panel's table."""
    look, answers = Look.of(panel), recorded["answers"][str(panel["id"])]
    if any(query.get("format") == "table" for query in panel["targets"]):
        table = rows(panel, answers)
    else:
        table = joined(lines(panel, answers))
    names = {series["name"]["fixed"]: series for series in panel["options"]["series"]}
    colors = {name: look.fixed_color(name) or PALETTE[0] for name in names}
    axes = box.axes(left=50, bottom=legend(box, colors) + 30, right=8, top=4)
    style(axes)
    label = ""
    for name, series in names.items():
        x, y = (series[axis]["matcher"]["options"] for axis in ("x", "y"))
        label = look.get(x, "custom.axisLabel", x)
        known = [(row[x], row[y]) for row in table if row.get(x) is not None and row.get(y) is not None]
        places, values = zip(*known, strict=True) if known else ((), ())
        axes.scatter(places, values, color=colors[name], s=26, alpha=0.9, lw=0)
    said = recorded["chosen"]
    axes.set_xlabel(_chosen(label, said), color=FAINT, fontsize=SMALL)
    axes.set_ylabel(_chosen(look.get("", "custom.axisLabel", ""), said), color=FAINT, fontsize=SMALL)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(lambda value, _: written(value, "short")))


def _chosen(text: str, chosen: Json) -> str:
    return str(chosen.get(text.removeprefix("$"), text))


def state_timeline(panel: Json, recorded: Json, box: Box) -> None:
    """A bar for each series, with what state it was in."""
    look, found = Look.of(panel), lines(panel, recorded["answers"][str(panel["id"])])
    if not found:
        return nothing(box)
    shown = {}
    room = 8 + 0.58 * SMALL * max(len(line.name) for line in found)
    axes = box.axes(left=room, bottom=42, right=8, top=2)
    style(axes)
    axes.grid(visible=False)
    _time_axis(axes, recorded)
    for place, line in enumerate(reversed(found)):
        for begin, end, value in _states(line):
            word, color = look.mapped(value) or (written(value, "short"), PALETTE[0])
            shown[word] = color
            axes.barh(place, end - begin, left=begin, height=0.75, color=color, alpha=0.75, lw=0)
    axes.set_yticks(range(len(found)), [fitted(line.name, room, SMALL) for line in reversed(found)], color=TEXT)
    axes.set_ylim(-0.5, max(len(found), 3) - 0.5)
    legend(box, shown)
    return None


def _states(line: Line) -> list[tuple[float, float, float]]:
    """Begin, end and value of each time in which the value stayed."""
    found: list[tuple[float, float, float]] = []
    for time, value in zip(line.times, line.values, strict=True):
        if found and found[-1][2] == value:
            found[-1] = (found[-1][0], time, value)
        else:
            if found:
                found[-1] = (found[-1][0], time, found[-1][2])
            found.append((time, time, value))
    return found
