"""A local run while it goes on, as a person at a terminal, or a log, sees it."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from kubenas.api.experiment import NASExperiment
from kubenas.api.status import Counts, ExperimentStatus
from kubenas.cli.summary import trial_seconds
from kubenas.cli.text import duration_text, number_text
from kubenas.experiment.actions import Announcement
from kubenas.experiment.resolution import resolve
from kubenas.experiment.state import Trial

# The rate over a whole run: its trials are too few for a shorter time.
_RATE_SECONDS: Final = 24 * 3600.0
# Candidates of a trial whose architectures are told.
_NAMED: Final = 2


class Display:
    """A line for each trial that has ended; in a terminal also one that shows how far the experiment is.

    A `kubenas.local.run.Listener`.

    Attributes:
        total: trials of all stages together, as far as it is known how many there will be.
    """

    def __init__(self, console: Console, experiment: NASExperiment) -> None:
        self._console = console
        self._name = experiment.metadata.name
        self._objective = experiment.spec.objectives[0].metric
        self.total = sum(stage.most_trials for stage in resolve(experiment.spec))
        self._done = 0
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[running]} running"),
            TextColumn("{task.fields[best]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=_RATE_SECONDS,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def trial_ended(self, trial: Trial) -> None:
        """Say what came of it."""
        self._done += 1
        status, seconds = trial.status, trial_seconds(trial)
        if status.phase == "Failed" and status.last_failure:
            failure = f"{status.last_failure.reason}: {status.last_failure.message}"
            outcome = f"[red]failed: {escape(failure)}[/]"
        elif status.value is not None:
            outcome = f"{self._objective} {number_text(status.value)}"
        else:
            outcome = (status.phase or "").lower()
        time = "" if seconds is None else duration_text(seconds)
        names = ", ".join(candidate.name or "" for candidate in trial.candidates)
        names = names if len(trial.candidates) <= _NAMED else f"{len(trial.candidates)} candidates"
        width = len(str(self.total))
        self._print(f"{self._done:>{width}}/{self.total}  {trial.name}  {outcome}  {time}  [dim]{escape(names)}[/]")

    def attempt_failed(self, trial: Trial) -> None:
        """Say why it is tried again."""
        failure = trial.status.last_failure
        if failure:
            message = f"{trial.name}: attempt {failure.attempt} failed: {failure.reason}: {failure.message}"
            self._print(f"[yellow]{escape(message)}; it is tried again[/]")

    def status_changed(self, status: ExperimentStatus, running: int) -> None:
        """Show how far it is."""
        counts = status.counts or Counts()
        # Fewer than at first, where less was kept than could have been.
        self.total = int((status.progress or f"/{self.total}").rpartition("/")[2])
        self._done = counts.succeeded + counts.pruned + counts.failed
        best = f"best {self._objective} {number_text(status.best.value)}" if status.best else ""
        if self._task is None:
            if self._done and status.completion_time is None:
                self._print(f"Going on: {self._done} of {self.total} trials have ended.")
            self._task = self._progress.add_task(
                self._name, total=self.total, completed=self._done, running=running, best=best
            )
        self._progress.update(self._task, total=self.total, completed=self._done, running=running, best=best)

    def announced(self, announcement: Announcement) -> None:
        """Say what needs attention; the end itself is told last."""
        if announcement.kind == "Warning" and announcement.reason != "Failed":
            self._print(f"[yellow]{escape(announcement.reason)}: {escape(announcement.message)}[/]")

    def stopping(self) -> None:
        """Say that trainers are waited for."""
        self._print("Stopping: trainers may write their checkpoints. Once more kills them.")

    def note(self, text: str) -> None:
        """Say something beside the trials."""
        self._print(f"[dim]{escape(text)}[/]")

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)
