"""How numbers, times and architectures are shown."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.markup import escape

from kubenas.api.objective import Objective
from kubenas.api.status import Best
from kubenas.space.base import Space

# Reported by trainers for people: no search sees it.
TEST_PREFIX: Final = "test_"
# Of a log: wide enough for a row of a table.
_LOG_WIDTH: Final = 200


def log_console() -> Console:
    """Standard output, wide where it is no terminal."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    return console


def number_text(value: float) -> str:
    """A value in four significant digits, whole numbers and large ones in full."""
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:.1f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"


def duration_text(seconds: float) -> str:
    """A duration such as 0.8 s, 45 s, 3:20 or 2:03:20."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def print_best(console: Console, best: Best, objective: Objective, space: Space) -> None:
    """Print the best architecture, drawn."""
    console.print(f"\n[bold]Best architecture[/]: {objective.metric} {number_text(best.value)}, of trial {best.trial}")
    for metric in best.metrics:
        if metric.name.startswith(TEST_PREFIX):
            console.print(f"{metric.name} {number_text(metric.value)} (reported only; the search does not see it)")
    console.print()
    console.print(escape(space.draw(space.parse(best.architecture))), soft_wrap=True)
