"""A trial's next status: another attempt, a failure, an end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubenas.api.base import Condition
from kubenas.api.trial import FailedCandidate, Failure, Point, Result, TrialStatus
from kubenas.experiment.batches import in_order, so_far
from kubenas.experiment.bounds import MESSAGE_BYTES, cut, shortened, within_room
from kubenas.experiment.curves import merged
from kubenas.experiment.rules import Rules
from kubenas.experiment.spending import spent_by
from kubenas.experiment.state import Attempt, Fault, Readings, Trial, moment

# Longest pause before a retry; it doubles with each failure.
MAX_RETRY_SECONDS = 300.0
# What another attempt cannot mend: it has the same seed, and the same checkpoint.
PERMANENT = frozenset({"InvalidDataset", "InvalidTrial", "MetricMissing", "NonFiniteMetric", "ResultsTooLarge"})
# Metrics that are named of those that are not kept.
_NAMED = 5
# Failed candidates that are named.
_LISTED = 16


def retry_at(status: TrialStatus) -> float:
    """When the current attempt may start: a pause that doubles with each failure."""
    if status.last_failure is None or status.last_failure.attempt != status.attempt - 1:
        return 0.0
    return status.last_failure.time.timestamp() + min(2.0**status.failures, MAX_RETRY_SECONDS)


def next_attempt(
    trial: Trial, attempt: Attempt | None, readings: Readings, rules: Rules, now: float, *, disrupted: bool = False
) -> TrialStatus:
    """The same trial with its next attempt; a batch keeps what was shown of it, and ends if that is all.

    `disrupted`: whether the cluster took the pod away.
    """
    results, failed = so_far(trial, readings, rules.required)
    if trial.is_batch and len(results) + len(failed) == len(trial.candidates):
        phase = "Succeeded" if results else "Failed"
        said = Fault("Succeeded" if results else failed[0].reason, results_told(len(results), failed))
        return finished(trial, attempt, phase, said, results, [], rules, now, failed=failed)
    return trial.status.model_copy(
        update={
            "phase": "Pending",
            "attempt": trial.status.attempt + 1,
            "pod": None,
            "node": None,
            "start_time": None,
            "disruption": None,
            "disruptions": trial.status.disruptions + disrupted,
            "price_class": None,
            "gpus": None,
            "curve": whole_curve(trial, readings, rules),
            **_spent(trial, attempt, rules, now),
            "results": within_room(in_order(trial, results), rules.required, len(trial.candidates))[0],
            "failed_candidates": shortened(in_order(trial, failed), len(trial.candidates)),
        }
    )


def attempt_failed(
    trial: Trial,
    attempt: Attempt | None,
    readings: Readings,
    fault: Fault,
    rules: Rules,
    now: float,
    candidates: Sequence[FailedCandidate] = (),
) -> TrialStatus:
    """A failed attempt: another one if there are retries left, else the trial has failed.

    A batch succeeds with what it has shown, if that is anything.
    """
    failures = trial.status.failures + 1
    message = cut(fault.message, MESSAGE_BYTES)
    failure = Failure(attempt=trial.status.attempt, reason=fault.reason, message=message, time=moment(now))
    results, failed = so_far(trial, readings, rules.required)
    over = trial.is_batch and len(results) + len(failed) == len(trial.candidates)
    if failures <= rules.retries and fault.reason not in PERMANENT and not over:
        # The next attempt may begin anew: values of one that failed are none of its own.
        again = next_attempt(trial, attempt, readings, rules, now)
        return again.model_copy(update={"failures": failures, "last_failure": failure, "curve": []})
    curve = whole_curve(trial, readings, rules)
    if results:
        known = {one.candidate for one in results} | {one.candidate for one in failed}
        failed += [
            FailedCandidate(candidate=one.id, reason=fault.reason[:63], message=cut(fault.message, 1024))
            for one in trial.candidates
            if one.id not in known
        ]
        said = Fault("Succeeded", f"{results_told(len(results), failed)} The last attempt failed: {fault.message}")
        ended = finished(trial, attempt, "Succeeded", said, results, curve, rules, now, failed=failed)
    else:
        ended = finished(trial, attempt, "Failed", fault, [], curve, rules, now, failed=candidates or failed)
    return ended.model_copy(update={"failures": failures, "last_failure": failure})


def finished(
    trial: Trial,
    attempt: Attempt | None,
    phase: str,
    why: Fault,
    results: Sequence[Result],
    curve: list[Point],
    rules: Rules,
    now: float,
    left_out: Sequence[str] = (),
    failed: Sequence[FailedCandidate] = (),
) -> TrialStatus:
    """The end of a trial, with as many of its results as there is room for."""
    kept, more = within_room(in_order(trial, results), rules.required, len(trial.candidates))
    started = attempt.started if attempt else None
    ended = attempt.ended if attempt and attempt.ended is not None else now
    return trial.status.model_copy(
        update={
            "phase": phase,
            "pod": attempt.name if attempt else trial.status.pod,
            "node": attempt.node if attempt else trial.status.node,
            "price_class": attempt.price_class if attempt else trial.status.price_class,
            "gpus": attempt.gpus(rules.shares) if attempt else trial.status.gpus,
            "start_time": moment(started) if started is not None else trial.status.start_time,
            "completion_time": moment(ended),
            **_spent(trial, attempt, rules, now),
            "results": kept,
            "failed_candidates": shortened(in_order(trial, failed), len(trial.candidates)),
            "curve": curve,
            "conditions": [
                Condition(
                    type="Finished",
                    status="True",
                    reason=why.reason,
                    message=cut(why.message + _left_out([*left_out, *more]), MESSAGE_BYTES),
                    observed_generation=1,
                    last_transition_time=moment(now),
                )
            ],
        }
    )


def whole_curve(trial: Trial, readings: Readings, rules: Rules) -> list[Point]:
    """All that is known of how the trial learns."""
    read = readings.curves.get(trial.attempt_name)
    return merged(trial.status.curve, read, trial.candidates, rules.required, rules.rungs)


def results_told(results: int, failed: Sequence[FailedCandidate]) -> str:
    """How many candidates have a result, and which have failed."""
    if not failed:
        return "The trainer reported its results."
    named = ", ".join(f"{one.candidate} ({one.reason})" for one in failed[:_LISTED])
    more = f" and {len(failed) - _LISTED} more" if len(failed) > _LISTED else ""
    return f"The trainer reported results of {results} candidates; failed have {named}{more}."


def _left_out(metrics: Sequence[str]) -> str:
    more = f"; and {len(metrics) - _NAMED} more" if len(metrics) > _NAMED else ""
    return f" Not kept of them: {'; '.join(metrics[:_NAMED])}{more}." if metrics else ""


def _spent(trial: Trial, attempt: Attempt | None, rules: Rules, now: float) -> dict[str, Any]:
    spent = spent_by(trial, attempt, rules.shares, now)
    return {"gpu_seconds": spent.gpu_seconds, "class_seconds": spent.class_seconds}
