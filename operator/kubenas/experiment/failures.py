"""How many attempts have failed, by reason."""

from __future__ import annotations

from collections.abc import Mapping

from kubenas.experiment.reasons import FAILURES, bounded
from kubenas.experiment.state import Trial


class Failures:
    """Failed attempts of an experiment, counted as its trials are shown; a count never falls.

    A trial's status has the number of its failures and the reason of the last one: those that were not seen one by one,
    as after a restart of the operator, all count for that.

    Attributes:
        counts: by reason, those of trainers' own as one; replaced, never changed, so that any thread may read it.
    """

    def __init__(self) -> None:
        self.counts: Mapping[str, int] = {}
        # Failures that were counted of a trial, by its number; of those that have any.
        self._counted: dict[int, tuple[str, int]] = {}

    def put(self, trial: Trial) -> None:
        """Take in a new or changed trial."""
        failed, last = trial.status.failures, trial.status.last_failure
        uid, counted = self._counted.get(trial.number, (trial.uid, 0))
        new = failed - (counted if uid == trial.uid else 0)
        if last is None or new <= 0:
            return
        self._counted[trial.number] = (trial.uid, failed)
        reason = bounded(last.reason, FAILURES)
        self.counts = {**self.counts, reason: self.counts.get(reason, 0) + new}
