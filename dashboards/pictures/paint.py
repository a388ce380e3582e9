"""Grafana's dark colours, and the parts that all panels share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

Json = Mapping[str, Any]

PAGE, PANEL, EDGE, GRID, TEXT, FAINT, LINK = "#111217", "#181b1f", "#26282e", "#2c3036", "#d5d7e0", "#8e919b", "#6e9fff"
NAMED = {
    "green": "#73bf69",
    "yellow": "#fade2a",
    "orange": "#ff9830",
    "red": "#f2495c",
    "blue": "#5794f2",
    "purple": "#b877d9",
}
PALETTE = (
    "#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0", "#37872d", "#fade2a",
    "#447ebc", "#c15c17", "#890f02", "#0a437c", "#6d1f62", "#b7dbab",
)  # fmt: skip
SMALL, NORMAL = 8.5, 9.5


@dataclass(frozen=True)
class Box:
    """A place on the page, in points from its lower left corner."""

    figure: Figure
    left: float
    bottom: float
    width: float
    height: float

    def axes(self, left: float = 0, bottom: float = 0, right: float = 0, top: float = 0) -> Axes:
        """Axes inside of margins."""
        page_width, page_height = (72 * inches for inches in self.figure.get_size_inches())
        area = (
            (self.left + left) / page_width,
            (self.bottom + bottom) / page_height,
            (self.width - left - right) / page_width,
            (self.height - bottom - top) / page_height,
        )
        axes = self.figure.add_axes(area)
        axes.set_facecolor("none")
        return axes

    def canvas(self, left: float = 0, bottom: float = 0, right: float = 0, top: float = 0) -> Axes:
        """Axes without ticks, whose units are points."""
        axes = self.axes(left, bottom, right, top)
        axes.set_xlim(0, self.width - left - right)
        axes.set_ylim(0, self.height - bottom - top)
        axes.axis("off")
        return axes


@dataclass(frozen=True)
class Look:
    """A panel's field configuration.

    Attributes:
        defaults: of all fields.
        overrides: by a field's name.
    """

    defaults: Json
    overrides: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def of(cls, panel: Json) -> Look:
        """That of a panel."""
        config = panel.get("fieldConfig", {})
        overrides = {
            override["matcher"]["options"]: {each["id"]: each.get("value") for each in override["properties"]}
            for override in config.get("overrides", ())
        }
        return cls(config.get("defaults", {}), overrides)

    def get(self, name: str, what: str, otherwise: Any = None) -> Any:
        """A setting of a field."""
        overridden = self.overrides.get(name, {})
        if what in overridden:
            return overridden[what]
        found: Any = self.defaults
        for part in what.split("."):
            found = found.get(part, {}) if isinstance(found, Mapping) else {}
        return otherwise if found in ({}, None) else found

    def fixed_color(self, name: str) -> str | None:
        """The colour that was chosen for a field."""
        color = self.get(name, "color", {})
        return colour(color["fixedColor"]) if color.get("mode") == "fixed" else None

    def line_color(self, name: str, place: int) -> str:
        """The colour of a line by its name, or by its place among the others."""
        if (chosen := self.fixed_color(name)) is not None:
            return chosen
        color = self.defaults.get("color", {})
        if color.get("mode") == "shades":
            return to_hex((*to_rgb(colour(color["fixedColor"])), 1 / (1 + place / 3)), keep_alpha=True)
        return PALETTE[place % len(PALETTE)]

    def threshold_color(self, value: float) -> str:
        """The colour of a value by the thresholds."""
        chosen = "green"
        for step in self.defaults["thresholds"]["steps"]:
            if step.get("value") is None or value >= step["value"]:
                chosen = step["color"]
        return colour(chosen)

    def mapped(self, value: Any, name: str = "") -> tuple[str, str] | None:
        """The word and the colour in place of a value."""
        key = f"{value:g}" if isinstance(value, float) else str(value)
        for mapping in self.get(name, "mappings", ()):
            if key in mapping["options"]:
                found = mapping["options"][key]
                return found["text"], colour(found["color"])
        return None


def colour(name: str) -> str:
    """A colour as matplotlib knows it."""
    return NAMED.get(name, name)


def panel_box(box: Box, title: str) -> Box:
    """Draw a panel's background and title; what is left for its contents."""
    canvas = box.canvas()
    shape = FancyBboxPatch(
        (1, 1), box.width - 2, box.height - 2, boxstyle="round,pad=0,rounding_size=3", fc=PANEL, ec=EDGE, lw=0.8
    )
    canvas.add_patch(shape)
    canvas.text(9, box.height - 9, fitted(title, box.width - 16), color=TEXT, fontsize=NORMAL, va="top")
    return Box(box.figure, box.left + 8, box.bottom + 6, box.width - 16, box.height - 32)


def fitted(text: str, width: float, size: float = NORMAL) -> str:
    """The text, cut to a width in points."""
    most = max(3, int(width / (0.56 * size)))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def nothing(box: Box) -> None:
    """Say that there is nothing to see."""
    box.canvas().text(box.width / 2, box.height / 2, "No data", color=FAINT, fontsize=NORMAL, ha="center", va="center")


def legend(box: Box, entries: Mapping[str, str]) -> float:
    """Draw a legend at the bottom, in two lines at most; its height in points."""
    canvas, names = box.canvas(), list(entries)
    left, second = 0.0, 0
    places: list[tuple[float, int]] = []
    for name in names:
        width = 20 + 0.58 * SMALL * len(name)
        if left + width > box.width - (70 if second else 0) and left:
            if second:
                break
            left, second = 0.0, 1
        places.append((left, second))
        left += width
    for name, (x, line) in zip(names, places, strict=False):
        y = 6.0 + 12 * (second - line)
        canvas.add_patch(Rectangle((x, y - 1.5), 10, 3, fc=entries[name], ec="none"))
        canvas.text(x + 13, y, name, color=TEXT, fontsize=SMALL, va="center")
    if left_out := len(names) - len(places):
        canvas.text(left, 6, f"… {left_out} more", color=FAINT, fontsize=SMALL, va="center")
    return 14.0 + 12 * second


def style(axes: Axes) -> None:
    """Grafana's grid and ticks."""
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=FAINT, labelsize=SMALL, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
