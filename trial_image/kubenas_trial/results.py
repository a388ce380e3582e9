"""What the candidates of one trial have come to so far: their reports, failures and found architectures."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from kubenas.api.evaluation import MAX_TRAINED
from kubenas.api.trial import MAX_METRICS, most_metrics
from kubenas_trial.candidate import Candidate
from kubenas_trial.errors import NonFiniteMetricError, TrialError
from kubenas_trial.termination import Failed, Result, check_room, results_message

_METRIC_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,62}")
# Measured on the test split: part of the results, hidden from everything that steers a search.
_TEST_PREFIX = "test_"
# Epochs done: exposed, so that a scraped value can replace a lost result, but not part of the result.
EPOCH = "epoch"
_LAST_STEP = 2**53 - 1


class Results:
    """Those of `candidates`.

    Attributes:
        is_batch: whether there are more than the termination message has room for.
    """

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self.is_batch = len(candidates) > MAX_TRAINED
        self._candidates = candidates
        self._ids = frozenset(candidate.id for candidate in candidates)
        self._reports: dict[str, tuple[int, dict[str, float]]] = {}
        self._failures: dict[str, TrialError] = {}
        self._found: dict[str, dict[str, Any]] = {}

    def check_own(self, candidate: Candidate, at: str) -> None:
        """Check that `candidate` is the trial's.

        Raises:
            ValueError: it is another trial's.
        """
        if candidate.id not in self._ids:
            raise ValueError(f"{at}: this trial has no such candidate")

    def checked(self, candidate: Candidate, step: int, metrics: Mapping[str, float]) -> tuple[int, dict[str, float]]:
        """Step and values of a report, with what other reports of the same step say; for errors see `Trial.report`."""
        at = f"candidate {candidate.id}, step {step}"
        self.check_own(candidate, at)
        if not metrics:
            raise ValueError(f"{at}: no metric is reported")
        number = _step(at, step)
        values = {name: _value(at, name, value) for name, value in metrics.items()}
        last_number, last_values = self._reports.get(candidate.id, (number, {}))
        if last_number == number:
            values = last_values | values
        self._check_metrics(at, values.keys() - {EPOCH})
        return number, values

    def record(self, candidate: Candidate, number: int, values: dict[str, float]) -> dict[str, float]:
        """Keep what was `checked`, the last of which is the result; the values of it that a search may see.

        Raises:
            TrialError: there are too many for the termination message, with reason ResultsTooLarge.
        """
        if not self.is_batch:
            # Fail now rather than after the other candidates' training.
            likely = (
                {own.id: (number, values) for own in self._candidates}
                | self._reports
                | {candidate.id: (number, values)}
            )
            found = self._found.get(candidate.id)
            results_message([self._outcome(own.id, *likely[own.id], found) for own in self._candidates])
        self._reports[candidate.id] = number, values
        visible = {name: value for name, value in values.items() if not name.startswith(_TEST_PREFIX)}
        if self.is_batch:
            visible.pop(EPOCH, None)
        return visible

    def find(self, candidate: Candidate, architecture: dict[str, Any]) -> None:
        """Keep which architecture was found for `candidate`."""
        self._found[candidate.id] = architecture

    def fail(self, candidate: str, error: TrialError) -> None:
        """Mark `candidate` as failed, whatever it has reported."""
        self._failures[candidate] = error

    def has_failed(self, candidate: Candidate) -> bool:
        """Whether it was marked as failed."""
        return candidate.id in self._failures

    def missing(self) -> list[str]:
        """The candidates that have neither a report nor failed."""
        return [one.id for one in self._candidates if one.id not in self._reports and one.id not in self._failures]

    def check_room(self, metrics: Iterable[str]) -> None:
        """Check that results with all of these metrics will fit.

        Raises:
            TrialError: they might not, with reason ResultsTooLarge.
        """
        names = list(metrics)
        if self.is_batch:
            self._check_metrics("each candidate", {name for name in names if not name.startswith(_TEST_PREFIX)})
        else:
            check_room([(candidate.id, candidate.epochs) for candidate in self._candidates], names)

    def outcomes(self) -> list[Result | Failed]:
        """The result or failure of each candidate; raises the error of the only one, or the first one of a batch."""
        alone = len(self._candidates) == 1 or self.is_batch
        if alone and len(self._failures) == len(self._candidates):
            raise self._failures[self._candidates[0].id]
        return [self._outcome(one.id, *self._reports.get(one.id, (0, {}))) for one in self._candidates]

    def _check_metrics(self, at: str, names: Collection[str]) -> None:
        most = most_metrics(len(self._candidates))
        if len(names) > most:
            of = f" of {len(self._candidates)} candidates" if most < MAX_METRICS else ""
            raise TrialError(
                "ResultsTooLarge", f"{at}: {len(names)} metrics are reported, and a result{of} has at most {most}"
            )

    def _outcome(
        self, candidate: str, step: int, values: Mapping[str, float], found: dict[str, Any] | None = None
    ) -> Result | Failed:
        """The result, with `found` where no architecture has been found for it, or the failure."""
        if candidate in self._failures:
            return Failed(candidate, self._failures[candidate])
        metrics = {name: value for name, value in values.items() if name != EPOCH}
        return Result(candidate, step, metrics, self._found.get(candidate, found))


def _step(at: str, step: int) -> int:
    try:
        # Whole numbers of numpy and torch too.
        number = operator.index(step)
    except TypeError:
        raise TypeError(f"{at}: the step is {step!r}: give a whole number, such as the epoch") from None
    if not 0 <= number <= _LAST_STEP:
        raise ValueError(f"{at}: give a step from 0 to {_LAST_STEP}")
    return number


def _value(at: str, name: str, value: float) -> float:
    if not _METRIC_NAME.fullmatch(name):
        raise ValueError(f"metric {name!r}: use up to 63 letters, digits and _, not beginning with a digit")
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(f"{at}: {name} is no number: {error}") from None
    if not math.isfinite(number):
        raise NonFiniteMetricError(f"{at}: {name} is {number}")
    return number
