"""The end of a local run: its trials in a table, and the best architecture drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kubenas.api.objective import Objective
from kubenas.api.status import ExperimentStatus
from kubenas.cli.text import (
    TEST_PREFIX,
    architecture_text,
    duration_text,
    number_text,
    print_best,
    print_finalists,
    print_judgements,
)
from kubenas.experiment.objectives import score
from kubenas.experiment.state import Trial
from kubenas.local.run import LocalRun

# Trials in the table; the rest is in the state folder.
_ROWS: Final = 10


def trial_seconds(trial: Trial) -> float | None:
    """How long the last attempt of an ended trial ran."""
    start, end = trial.status.start_time, trial.status.completion_time
    return (end - start).total_seconds() if start and end else None


def print_summary(console: Console, run: LocalRun, path: Path) -> None:
    """Print how `run`, whose state is in `path`, has ended."""
    status, objectives = run.experiment.status, run.experiment.spec.objectives
    deciding = {stage.name for stage in run.stages if stage.decides}
    results = [
        (trial, result.candidate, {m.name: m.value for m in result.metrics})
        for trial in run.trials.values()
        for result in trial.status.results
        if trial.stage in deciding and all(o.metric in {m.name for m in result.metrics} for o in objectives)
    ]
    results.sort(key=lambda entry: score(objectives, entry[2]), reverse=True)
    if results:
        console.print(_table(results[:_ROWS], objectives, run))
    if len(results) > _ROWS:
        console.print(f"… and {len(results) - _ROWS} more in {path / 'trials'}")
    _print_end(console, status, path)
    print_finalists(console, status, objectives[0])
    print_judgements(console, status)
    if status.best:
        print_best(console, status.best, objectives[0], run.space)


def _table(
    results: Sequence[tuple[Trial, str, Mapping[str, float]]], objectives: Sequence[Objective], run: LocalRun
) -> Table:
    names = _columns(objectives, (metrics for _, _, metrics in results))
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("trial")
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("time", justify="right")
    table.add_column("architecture", overflow="fold")
    for trial, name, metrics in results:
        candidate, seconds = next(one for one in trial.candidates if one.id == name), trial_seconds(trial)
        best = run.experiment.status.best
        table.add_row(
            trial.name if len(trial.candidates) == 1 else f"{trial.name}/{candidate.id}",
            *(number_text(metrics[name]) if name in metrics else "" for name in names),
            "" if seconds is None else duration_text(seconds),
            escape(architecture_text(run.space, candidate, trial.status.results)),
            style="bold" if best and (best.trial, best.candidate) == (trial.name, candidate.id) else "",
        )
    return table


def _columns(objectives: Sequence[Objective], results: Iterable[Mapping[str, float]]) -> list[str]:
    """Metrics in the order of interest: objectives, others, and last those on the test split."""
    wanted = [objective.metric for objective in objectives]
    others = sorted({name for metrics in results for name in metrics} - set(wanted))
    return wanted + sorted(others, key=lambda name: name.startswith(TEST_PREFIX))


def _print_end(console: Console, status: ExperimentStatus, path: Path) -> None:
    for condition in status.conditions:
        if condition.status == "True" and condition.type in ("Succeeded", "Failed"):
            color = "green" if condition.type == "Succeeded" else "red"
            console.print(f"\n[{color}]{condition.type}[/]: {escape(condition.message)}", soft_wrap=True)
    if status.phase == "Failed":
        console.print(f"Logs of the trials are in {path / 'attempts'}.", soft_wrap=True)
