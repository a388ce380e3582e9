"""Progress of a training, on a terminal or in a log."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from kubenas_trial.contract import Candidate
from kubenas_trial.errors import NonFiniteMetricError

_TEST = "test_"


class TrainingProgress:
    """Keeps the last report of one candidate: a `kubenas_trial.evaluation.reporter.Reporter`.

    A terminal shows a bar, a log gets a line for each epoch.

    Attributes:
        step: epochs done.
        metrics: as reported last.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self.step = 0
        self.metrics: dict[str, float] = {}
        self._console = console
        self._progress = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._bar = self._progress.add_task("", total=epochs)

    def __enter__(self) -> TrainingProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def report(self, candidate: Candidate, step: int, **metrics: float) -> None:
        """Show the values of an epoch.

        Raises:
            NonFiniteMetricError: one is NaN or infinite.
        """
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise NonFiniteMetricError(f"epoch {step}: {name} is {value}")
        if step > self.step and not self._console.is_terminal:
            self._console.print(f"epoch {step}/{candidate.epochs}: {values_text(metrics)}", soft_wrap=True)
        self.step, self.metrics = step, metrics
        name, value = next(iter(metrics.items()))
        self._progress.update(self._bar, completed=step, description=f"{name} {value:.4g}")

    def checkpoints(self, candidate: Candidate) -> None:
        """None are wanted."""

    def uninterrupted(self) -> AbstractContextManager[None]:
        """Nothing here turns signals into exceptions but KeyboardInterrupt, which leaves nothing to go on with."""
        return nullcontext()


def by_split(metrics: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """The task's metrics as `validation_…` and `test_…`, and what else was measured."""
    test = {name: value for name, value in metrics.items() if name.startswith(_TEST)}
    names = [name.removeprefix(_TEST) for name in test]
    validation = {f"validation_{name}": metrics[name] for name in names}
    others = {name: value for name, value in metrics.items() if name not in names and name not in test}
    return {**validation, **test}, others


def values_text(metrics: Mapping[str, float]) -> str:
    """Values in one line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
