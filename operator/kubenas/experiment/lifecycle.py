"""A trial's lifecycle: from its status, its attempt and its curve to its next status."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kubenas.api.base import Condition
from kubenas.api.trial import FailedCandidate, Failure, Point, Result, TrialStatus
from kubenas.experiment.batches import digest, in_order, shown, so_far
from kubenas.experiment.bounds import MESSAGE_BYTES, cut, shortened, within_room
from kubenas.experiment.curves import (
    joined,
    last_results,
    merged,
    missing_objective,
    whole_results,
)
from kubenas.experiment.message import Report, read_message
from kubenas.experiment.state import Attempt, AttemptPhase, Fault, Readings, Trial, earliest, moment

# An attempt that waits or runs is noted once it is this old, so that a short trial costs one write.
SETTLE_SECONDS = 3.0
# How often a running trial's curve is kept in its status.
CURVE_SECONDS = 60.0
# How long an ended attempt waits for its last values to be read.
READING_SECONDS = 30.0
# The kubelet tells the time of an end in whole seconds, rounded down.
CLOCK_SECONDS = 1.0
# Longest pause before a retry; it doubles with each failure.
MAX_RETRY_SECONDS = 300.0
# A removed pod that is still there so long after its time belongs to a lost node.
LOST_SECONDS = 15.0
# What another attempt cannot mend: it has the same seed, and the same checkpoint.
PERMANENT = frozenset({"InvalidDataset", "InvalidTrial", "MetricMissing", "NonFiniteMetric", "ResultsTooLarge"})
# Metrics that are named of those that are not kept.
_NAMED = 5
# Failed candidates that are named.
_LISTED = 16


# A trainer that ended well, but left no message.
_NO_RESULT = Fault("NoResult", "the trainer exited with 0, but left no result in its termination message")


@dataclass(frozen=True, slots=True)
class Rules:
    """What an experiment demands of its trials."""

    retries: int
    timeout: float | None
    required: tuple[str, ...]
    # Epochs at which curves are kept.
    rungs: tuple[int, ...] = ()
    # Whether candidates without an architecture must bring one.
    finds: bool = True
    # GPUs that a device of a resource counts for, where it is not one.
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """A trial's next status, if it changes; when to reconcile again at the latest; whether values must be read now."""

    status: TrialStatus | None = None
    wake_at: float | None = None
    read_now: bool = False


def advance(trial: Trial, attempt: Attempt | None, readings: Readings, rules: Rules, now: float) -> Step:
    """Decide what becomes of an unfinished trial. `plan` numbers the endings."""
    status = trial.status
    if attempt is None:
        # One that is gone without anyone having seen why, as pods of a lost node may while no operator runs, tells
        # nothing of the trial.
        return Step(None if status.pod is None else _again(trial, None, readings, rules, now))
    if attempt.phase is AttemptPhase.ENDED:
        return _ended(trial, attempt, readings, rules, now)
    if attempt.fault:
        return Step(_failed(trial, attempt, readings, attempt.fault, rules, now))
    if attempt.gone_by is not None and now >= attempt.gone_by + LOST_SECONDS:
        return _ended(trial, attempt, readings, rules, now)
    deadline = attempt.started + rules.timeout if attempt.started is not None and rules.timeout else None
    if deadline is not None and now >= deadline:
        fault = Fault("Timeout", f"the attempt ran longer than trials.timeout ({rules.timeout:.0f} s)")
        return Step(_failed(trial, attempt, readings, fault, rules, now))
    missing = missing_objective(readings.curves.get(trial.attempt_name), trial.remaining, rules.required)
    if missing:
        return Step(_failed(trial, attempt, readings, missing, rules, now))
    return _in_between(trial, attempt, readings, rules, now, deadline)


def retry_at(status: TrialStatus) -> float:
    """When the current attempt may start: a pause that doubles with each failure."""
    if status.last_failure is None or status.last_failure.attempt != status.attempt - 1:
        return 0.0
    return status.last_failure.time.timestamp() + min(2.0**status.failures, MAX_RETRY_SECONDS)


def release(trial: Trial, attempt: Attempt | None, readings: Readings, rules: Rules, now: float) -> TrialStatus | None:
    """The status of a trial that is to wait for a slot: its attempt is given up, and not counted as a failure."""
    if attempt is None and trial.status.pod is None:
        return None
    return _again(trial, attempt, readings, rules, now)


def prune(
    trial: Trial, attempt: Attempt | None, readings: Readings, fault: Fault, rules: Rules, now: float
) -> TrialStatus:
    """The status of a trial that is stopped before its end; the last values read of it are kept."""
    curve = _curve(trial, readings, rules)
    # Not of the curve: it keeps the objectives alone.
    read = joined(trial.status.curve, readings.curves.get(trial.attempt_name))
    results = last_results(read, trial.remaining, rules.required, "Pod" if trial.is_batch else readings.source)
    kept = [*trial.status.results, *results]
    return _finished(trial, attempt, "Pruned", fault, kept, curve, rules, now, failed=trial.status.failed_candidates)


def _in_between(
    trial: Trial, attempt: Attempt, readings: Readings, rules: Rules, now: float, deadline: float | None
) -> Step:
    """Note that the attempt waits or runs, once it has done so for a moment."""
    status = trial.status
    settled = attempt.created + SETTLE_SECONDS
    wakes = [deadline, attempt.gone_by + LOST_SECONDS if attempt.gone_by else None]
    if status.pod is None and attempt.disruption is None and now < settled:
        return Step(wake_at=earliest(*wakes, settled))
    running = attempt.phase is AttemptPhase.RUNNING
    changes: dict[str, Any] = {
        "phase": "Running" if running else "Pending",
        "pod": attempt.name,
        "node": attempt.node,
        "start_time": None if attempt.started is None else moment(attempt.started),
        "disruption": attempt.disruption.reason if attempt.disruption else status.disruption,
    }
    read = readings.curves.get(trial.attempt_name)
    last = status.curve_time or status.start_time
    if read and (last is None or now - last.timestamp() >= CURVE_SECONDS):
        curve = merged(status.curve, read, trial.candidates, rules.required, rules.rungs)
        if curve != status.curve:
            changes |= {"curve": curve, "curve_time": moment(readings.read_at or now)}
    changed = status.model_copy(update=changes)
    return Step(None if changed == status else changed, wake_at=earliest(*wakes))


def _ended(trial: Trial, attempt: Attempt, readings: Readings, rules: Rules, now: float) -> Step:
    """Decide about an attempt that is over: result, retry or failure."""
    report = read_message(attempt.message, attempt.exit_code, trial.remaining, rules.required, finds=rules.finds)
    whole = report.told is not None and digest(trial, readings) == report.told.digest
    if report.fault is None and not whole and not _read_out(trial, attempt, readings, now):
        return Step(read_now=True, wake_at=_end_of(attempt, now) + READING_SECONDS)
    if report.told is not None:
        report = shown(trial, readings, report.told, rules.required)
    report = _with_stopped(trial, report, readings, rules)
    curve = _curve(trial, readings, rules)
    kept, failed = [*trial.status.results, *report.results], [*trial.status.failed_candidates, *report.failed]
    if kept and report.fault is None and (report.results or report.failed):
        early = {one.candidate for one in trial.status.stopped_candidates}
        phase = "Pruned" if all(result.candidate in early for result in kept) else "Succeeded"
        said = Fault("StoppedEarly" if phase == "Pruned" else "Succeeded", _reported(len(kept), failed))
        return Step(_finished(trial, attempt, phase, said, kept, curve, rules, now, report.left_out, failed))
    disruption = attempt.disruption.reason if attempt.disruption else trial.status.disruption
    if disruption is not None:
        return Step(_again(trial, attempt, readings, rules, now))
    fault = _fault(attempt, report.fault)
    open_ended = rules.finds and any(candidate.architecture is None for candidate in trial.candidates)
    if fault is _NO_RESULT and not open_ended:
        # What it had shown by its end may be all that was asked for.
        read = readings.curves.get(trial.attempt_name)
        results = whole_results(read, trial.candidates, rules.required, readings.source)
        if results:
            said = Fault("Succeeded", f"The trainer left no message; its results are those read ({readings.source}).")
            return Step(_finished(trial, attempt, "Succeeded", said, results, curve, rules, now))
    return Step(_failed(trial, attempt, readings, fault, rules, now, report.failed if fault is report.fault else ()))


def _with_stopped(trial: Trial, report: Report, readings: Readings, rules: Rules) -> Report:
    """The report of an attempt with what stopped candidates have come to, where it has nothing to say of them alone."""
    stopped = {one.candidate for one in trial.status.stopped_candidates} - {one.candidate for one in report.results}
    if not stopped or not (report.results or report.failed):
        return report
    read = joined(trial.status.curve, readings.curves.get(trial.attempt_name))
    candidates = [one for one in trial.remaining if one.id in stopped]
    results = last_results(read, candidates, rules.required, readings.source)
    known = {one.candidate for one in results}
    failed = tuple(one for one in report.failed if one.candidate not in known)
    return replace(report, results=(*report.results, *results), failed=failed)


def _read_out(trial: Trial, attempt: Attempt, readings: Readings, now: float) -> bool:
    """Whether the last values of an ended attempt were read, or cannot be.

    Prometheus still has them, a pod has not; of a batch, a reading may be under way.
    """
    ended = _end_of(attempt, now)
    since = readings.read_at is not None and readings.read_at >= ended + CLOCK_SECONDS
    if attempt.started is None or since or now >= ended + READING_SECONDS:
        return True
    return not trial.is_batch and (readings.source == "Pod" or readings.fault is not None)


def _end_of(attempt: Attempt, now: float) -> float:
    return attempt.ended or attempt.gone_by or now


def _fault(attempt: Attempt, reported: Fault | None) -> Fault:
    """Why an ended attempt failed: what the backend knows comes before what the trainer says."""
    if attempt.fault:
        return attempt.fault
    if reported:
        return reported
    if attempt.gone_by is not None:
        return Fault("PodDeleted", "the pod was deleted while the trial ran")
    if attempt.exit_code == 0:
        return _NO_RESULT
    tail = f": {attempt.message.strip()[-2000:]}" if attempt.message.strip() else ""
    return Fault("NonZeroExit", f"the trainer exited with {attempt.exit_code}{_signal_of(attempt.exit_code)}{tail}")


def _failed(
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
        again = _again(trial, attempt, readings, rules, now)
        return again.model_copy(update={"failures": failures, "last_failure": failure, "curve": []})
    curve = _curve(trial, readings, rules)
    if results:
        known = {one.candidate for one in results} | {one.candidate for one in failed}
        failed += [
            FailedCandidate(candidate=one.id, reason=fault.reason[:63], message=cut(fault.message, 1024))
            for one in trial.candidates
            if one.id not in known
        ]
        said = Fault("Succeeded", f"{_reported(len(results), failed)} The last attempt failed: {fault.message}")
        ended = _finished(trial, attempt, "Succeeded", said, results, curve, rules, now, failed=failed)
    else:
        ended = _finished(trial, attempt, "Failed", fault, [], curve, rules, now, failed=candidates or failed)
    return ended.model_copy(update={"failures": failures, "last_failure": failure})


def _again(trial: Trial, attempt: Attempt | None, readings: Readings, rules: Rules, now: float) -> TrialStatus:
    """The same trial with its next attempt; a batch keeps what was shown of it, and ends if that is all."""
    results, failed = so_far(trial, readings, rules.required)
    if trial.is_batch and len(results) + len(failed) == len(trial.candidates):
        phase = "Succeeded" if results else "Failed"
        said = Fault("Succeeded" if results else failed[0].reason, _reported(len(results), failed))
        return _finished(trial, attempt, phase, said, results, [], rules, now, failed=failed)
    return trial.status.model_copy(
        update={
            "phase": "Pending",
            "attempt": trial.status.attempt + 1,
            "pod": None,
            "node": None,
            "start_time": None,
            "disruption": None,
            "curve": _curve(trial, readings, rules),
            "gpu_seconds": _gpu_seconds(trial, attempt, rules, now),
            "results": within_room(in_order(trial, results), rules.required, len(trial.candidates))[0],
            "failed_candidates": shortened(in_order(trial, failed), len(trial.candidates)),
        }
    )


def _finished(
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
    kept, more = within_room(in_order(trial, results), rules.required, len(trial.candidates))
    started = attempt.started if attempt else None
    ended = attempt.ended if attempt and attempt.ended is not None else now
    return trial.status.model_copy(
        update={
            "phase": phase,
            "pod": attempt.name if attempt else trial.status.pod,
            "node": attempt.node if attempt else trial.status.node,
            "start_time": moment(started) if started is not None else trial.status.start_time,
            "completion_time": moment(ended),
            "gpu_seconds": _gpu_seconds(trial, attempt, rules, now),
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


def _signal_of(exit_code: int | None) -> str:
    try:
        return f" ({signal.Signals((exit_code or 0) - 128).name})"
    except ValueError:
        return ""


def _reported(results: int, failed: Sequence[FailedCandidate]) -> str:
    if not failed:
        return "The trainer reported its results."
    named = ", ".join(f"{one.candidate} ({one.reason})" for one in failed[:_LISTED])
    more = f" and {len(failed) - _LISTED} more" if len(failed) > _LISTED else ""
    return f"The trainer reported results of {results} candidates; failed have {named}{more}."


def _left_out(metrics: Sequence[str]) -> str:
    more = f"; and {len(metrics) - _NAMED} more" if len(metrics) > _NAMED else ""
    return f" Not kept of them: {'; '.join(metrics[:_NAMED])}{more}." if metrics else ""


def _curve(trial: Trial, readings: Readings, rules: Rules) -> list[Point]:
    """All that is known of how the trial learns."""
    read = readings.curves.get(trial.attempt_name)
    return merged(trial.status.curve, read, trial.candidates, rules.required, rules.rungs)


def _gpu_seconds(trial: Trial, attempt: Attempt | None, rules: Rules, now: float) -> float:
    spent = attempt.gpu_seconds(now, rules.shares) if attempt else 0.0
    return round(trial.status.gpu_seconds + spent, 3)
