"""Where results go while candidates are judged."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import Protocol

from kubenas_trial.contract import Candidate, Trial
from kubenas_trial.storage.checkpoints import CheckpointStore

_LOG = logging.getLogger("kubenas_trial")


class Reporter(Protocol):
    """A `Trial`, or a terminal."""

    def report(self, candidate: Candidate, step: int, **metrics: float) -> None:
        """Take the values of `candidate` after `step` epochs; the last report is its result."""

    def checkpoints(self, candidate: Candidate) -> CheckpointStore | None:
        """Its checkpoints, or None where none are wanted."""

    def uninterrupted(self) -> AbstractContextManager[None]:
        """Defers the SystemExit of a signal to the end of the `with`."""


class LoggedTrial:
    """A trial that also logs what is reported."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def report(self, candidate: Candidate, step: int, **metrics: float) -> None:
        """Report, with the epochs that are done, and log it."""
        self._trial.report(candidate, step, epoch=step, **metrics)
        values = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        _LOG.info("candidate %s: epoch %d/%d, %s", candidate.id, step, candidate.epochs, values)

    def checkpoints(self, candidate: Candidate) -> CheckpointStore | None:
        """The trial's."""
        return self._trial.checkpoints(candidate)

    def uninterrupted(self) -> AbstractContextManager[None]:
        """The trial's."""
        return self._trial.uninterrupted()
