"""A trial's lifecycle: from its status, its attempt and its curve to its next status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubenas.api.trial import TrialStatus
from kubenas.experiment.admission import is_queued
from kubenas.experiment.curves import joined, last_results, merged, missing_objective, whole_results
from kubenas.experiment.ends import NO_RESULT, READING_SECONDS, end_of, fault_of, reported
from kubenas.experiment.rules import Rules
from kubenas.experiment.spending import running_since
from kubenas.experiment.state import Attempt, AttemptPhase, Fault, Readings, Trial, earliest, moment
from kubenas.experiment.statuses import attempt_failed, finished, next_attempt, results_told, whole_curve

# An attempt that waits or runs is noted once it is this old, so that a short trial costs one write.
SETTLE_SECONDS = 3.0
# How often a running trial's curve is kept in its status.
CURVE_SECONDS = 60.0
# A removed pod that is still there so long after its time belongs to a lost node.
LOST_SECONDS = 15.0
# Why a trial was stopped whose last values are its result.
NO_IMPROVEMENT = "NoImprovement"


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
        return Step(None if status.pod is None else next_attempt(trial, None, readings, rules, now, disrupted=True))
    if attempt.phase is AttemptPhase.ENDED:
        return _ended(trial, attempt, readings, rules, now)
    if attempt.fault:
        return Step(attempt_failed(trial, attempt, readings, attempt.fault, rules, now))
    if attempt.gone_by is not None and now >= attempt.gone_by + LOST_SECONDS:
        return _ended(trial, attempt, readings, rules, now)
    since = running_since(trial, attempt)
    deadline = since + rules.timeout if since is not None and rules.timeout else None
    if deadline is not None and now >= deadline:
        fault = Fault("Timeout", f"the attempt ran longer than trials.timeout ({rules.timeout:.0f} s)")
        return Step(attempt_failed(trial, attempt, readings, fault, rules, now))
    missing = missing_objective(readings.curves.get(trial.attempt_name), trial.remaining, rules.required)
    if missing:
        return Step(attempt_failed(trial, attempt, readings, missing, rules, now))
    return _in_between(trial, attempt, readings, rules, now, deadline)


def release(trial: Trial, attempt: Attempt | None, readings: Readings, rules: Rules, now: float) -> TrialStatus | None:
    """The status of a trial that is to wait for a slot: its attempt is given up, and not counted as a failure."""
    if attempt is None and trial.status.pod is None:
        return None
    return next_attempt(trial, attempt, readings, rules, now)


def prune(
    trial: Trial, attempt: Attempt | None, readings: Readings, fault: Fault, rules: Rules, now: float
) -> TrialStatus:
    """The status of a trial that is stopped before its end, with the last values read of it."""
    curve = whole_curve(trial, readings, rules)
    # Not of the curve: it keeps the objectives alone.
    read = joined(trial.status.curve, readings.curves.get(trial.attempt_name))
    results = last_results(read, trial.remaining, rules.required, "Pod" if trial.is_batch else readings.source)
    kept = [*trial.status.results, *results]
    phase = "Succeeded" if fault.reason == NO_IMPROVEMENT and kept else "Pruned"
    return finished(trial, attempt, phase, fault, kept, curve, rules, now, failed=trial.status.failed_candidates)


def _in_between(
    trial: Trial, attempt: Attempt, readings: Readings, rules: Rules, now: float, deadline: float | None
) -> Step:
    """Note that the attempt waits or runs, once it has done so for a moment."""
    status = trial.status
    settled = attempt.created + SETTLE_SECONDS
    wakes = [deadline, attempt.gone_by + LOST_SECONDS if attempt.gone_by else None]
    if status.pod is None and attempt.disruption is None and now < settled:
        return Step(wake_at=earliest(*wakes, settled))
    running, since = attempt.phase is AttemptPhase.RUNNING, running_since(trial, attempt)
    changes: dict[str, Any] = {
        "phase": "Running" if running else "Queued" if is_queued(attempt) else "Pending",
        "pod": attempt.name,
        "node": attempt.node,
        "price_class": attempt.price_class,
        "gpus": attempt.gpus(rules.shares),
        "start_time": None if since is None else moment(since),
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
    report = reported(trial, attempt, readings, rules, now)
    if report is None:
        return Step(read_now=True, wake_at=end_of(attempt, now) + READING_SECONDS)
    curve = whole_curve(trial, readings, rules)
    kept, failed = [*trial.status.results, *report.results], [*trial.status.failed_candidates, *report.failed]
    if kept and report.fault is None and (report.results or report.failed):
        early = {one.candidate for one in trial.status.stopped_candidates}
        lost = not rules.stop_completes and all(result.candidate in early for result in kept)
        phase = "Pruned" if lost else "Succeeded"
        said = Fault("StoppedEarly" if phase == "Pruned" else "Succeeded", results_told(len(kept), failed))
        return Step(finished(trial, attempt, phase, said, kept, curve, rules, now, report.left_out, failed))
    disruption = attempt.disruption.reason if attempt.disruption else trial.status.disruption
    # A node that was restarted may not admit what has run on it, as its devices are not there yet.
    expelled = (
        attempt.fault is not None and attempt.fault.reason == "PodRejected" and trial.status.start_time is not None
    )
    if disruption is not None or expelled:
        return Step(next_attempt(trial, attempt, readings, rules, now, disrupted=True))
    fault = fault_of(attempt, report.fault)
    open_ended = rules.finds and any(candidate.architecture is None for candidate in trial.candidates)
    if fault is NO_RESULT and not open_ended:
        # What it had shown by its end may be all that was asked for.
        read = readings.curves.get(trial.attempt_name)
        results = whole_results(read, trial.candidates, rules.required, readings.source)
        if results:
            said = Fault("Succeeded", f"The trainer left no message; its results are those read ({readings.source}).")
            return Step(finished(trial, attempt, "Succeeded", said, results, curve, rules, now))
    alone = report.failed if fault is report.fault else ()
    return Step(attempt_failed(trial, attempt, readings, fault, rules, now, alone))
