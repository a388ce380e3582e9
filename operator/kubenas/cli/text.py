"""How numbers, times and architectures are shown."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kubenas.api.objective import Objective
from kubenas.api.status import Best, ExperimentStatus, Measured
from kubenas.api.trial import Candidate, Result
from kubenas.space.base import InvalidArchitectureError, Space

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


def architecture_text(space: Space, candidate: Candidate, results: Sequence[Result]) -> str:
    """A candidate's architecture, or the one that was found for it; empty where there is none."""
    found = next((one.architecture for one in results if one.candidate == candidate.id and one.architecture), None)
    with suppress(InvalidArchitectureError):
        return candidate.name or (space.name(space.parse(found)) if found else "")
    return ""


def measured_text(metric: Measured) -> str:
    """A metric with its standard deviation over several trainings, if there were any."""
    spread = "" if metric.spread is None else f" ± {metric.spread:.2g}"
    return f"{number_text(metric.value)}{spread}"


def print_finalists(console: Console, status: ExperimentStatus, objective: Objective) -> None:
    """Print the candidates that were trained with several seeds, and whether test confirms the best."""
    if not status.finalists:
        return
    names = [objective.metric, f"{TEST_PREFIX}{objective.metric}"]
    table = Table("finalist", *names, "seeds", "architecture", box=None, padding=(0, 2, 0, 0))
    for one in status.finalists:
        told = {metric.name: measured_text(metric) for metric in one.metrics}
        table.add_row(one.trial, *(told.get(name, "") for name in names), str(one.seeds or 1), escape(one.name))
    console.print()
    console.print(table)
    for condition in status.conditions:
        if condition.type == "Generalizes":
            console.print(f"Generalizes={condition.status}: {escape(condition.message)}", soft_wrap=True)


def print_judgements(console: Console, status: ExperimentStatus) -> None:
    """Print what trainings tell of cheap ways to judge, where the experiment has any."""
    for condition in status.conditions:
        if condition.type in ("ProxyUseful", "RankingReliable", "Converged"):
            console.print(f"{condition.type}={condition.status}: {escape(condition.message)}", soft_wrap=True)


def print_best(console: Console, best: Best, objective: Objective, space: Space) -> None:
    """Print the best architecture, drawn."""
    told = {metric.name: measured_text(metric) for metric in best.metrics}
    seeds = f", over {best.seeds} seeds" if best.seeds else ""
    value = told.get(objective.metric, number_text(best.value))
    console.print(f"\n[bold]Best architecture[/]: {objective.metric} {value}{seeds}, of trial {best.trial}")
    for name, text in told.items():
        if name.startswith(TEST_PREFIX):
            console.print(f"{name} {text} (reported only; the search does not see it)")
    console.print()
    console.print(escape(space.draw(space.parse(best.architecture))), soft_wrap=True)
