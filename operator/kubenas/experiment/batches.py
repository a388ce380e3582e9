"""What becomes of trials that score more candidates than a termination message has room for.

Their pods show the results on `/metrics`. What was read of them outlives each pod.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from kubenas.api.trial import Candidate, FailedCandidate, Result
from kubenas.experiment.curves import REASON, last_values
from kubenas.experiment.message import Report, Told
from kubenas.experiment.state import Curves, Exposed, Fault, Readings, Trial

Outcome = TypeVar("Outcome", Result, FailedCandidate)


def shown(trial: Trial, readings: Readings, told: Told, required: Sequence[str]) -> Report:
    """What `/metrics` has shown of a batch, if it was read whole."""
    exposed, curves = readings.exposed.get(trial.attempt_name), readings.curves.get(trial.attempt_name, {})
    if digest(trial, readings) != told.digest:
        message = f"of {told.results} results that the pod has shown on /metrics the last ones were not read in time"
        return Report(fault=Fault("ResultsNotRead", message))
    results, failed = _of_batch(curves, exposed, trial.remaining, required, told.texts)
    known = {one.candidate for one in results} | {one.candidate for one in failed}
    left = [candidate for candidate in trial.remaining if candidate.id not in known]
    failed += _unreported(curves, left, required)
    if results or trial.status.results:
        return Report(tuple(results), failed=tuple(failed))
    fault = Fault(failed[0].reason, f"candidate {failed[0].candidate}: {failed[0].message}")
    return Report(fault=fault, failed=tuple(failed))


def digest(trial: Trial, readings: Readings) -> str | None:
    """Of what the pod of the current attempt has shown last, as far as it was read."""
    exposed = readings.exposed.get(trial.attempt_name)
    return exposed.digest if exposed else None


def so_far(trial: Trial, readings: Readings, required: Sequence[str]) -> tuple[list[Result], list[FailedCandidate]]:
    """What is known of a batch's candidates, by earlier attempts and by what this one has shown; of others nothing."""
    if not trial.is_batch:
        return [], []
    name = trial.attempt_name
    curves, exposed = readings.curves.get(name, {}), readings.exposed.get(name)
    results, failed = _of_batch(curves, exposed, trial.remaining, required, {})
    return [*trial.status.results, *results], [*trial.status.failed_candidates, *failed]


def in_order(trial: Trial, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """In the order of the trial's candidates, whichever attempt brought them."""
    places = {candidate.id: place for place, candidate in enumerate(trial.candidates)}
    return sorted(outcomes, key=lambda one: places[one.candidate])


def _of_batch(
    curves: Curves,
    exposed: Exposed | None,
    candidates: Sequence[Candidate],
    required: Sequence[str],
    texts: Mapping[str, str],
) -> tuple[list[Result], list[FailedCandidate]]:
    """The results that a pod has shown of candidates that it scores, and which have failed alone.

    Args:
        texts: what the trainer said of failures, by reason.
    """
    results: list[Result] = []
    failed: list[FailedCandidate] = []
    for candidate in candidates:
        reason = exposed.failures.get(candidate.id) if exposed else None
        if reason is not None:
            reason = reason if REASON.fullmatch(reason) else "TrainerError"
            text = texts.get(reason) or "the log of the pod says why"
            failed.append(FailedCandidate(candidate=candidate.id, reason=reason, message=text))
        elif (found := last_values(candidate, curves.get(candidate.id, {}), required, "Pod")) is not None:
            results.append(found)
    return results, failed


def _unreported(curves: Curves, candidates: Sequence[Candidate], required: Sequence[str]) -> list[FailedCandidate]:
    """Why candidates have no result although their trainer has ended well."""
    found = []
    for candidate in candidates:
        curve = curves.get(candidate.id, {})
        missing = next((name for name in required if curve and name not in curve[max(curve)]), None)
        reason = "MetricMissing" if missing else "NoResult"
        text = (
            f"the trainer reported no {missing}, an objective" if missing else "the trainer has shown no result of it"
        )
        found.append(FailedCandidate(candidate=candidate.id, reason=reason, message=text))
    return found
