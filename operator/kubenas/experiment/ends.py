"""What an attempt that is over has to say: its results, or why it has none."""

from __future__ import annotations

import signal
from dataclasses import replace

from kubenas.experiment.batches import digest, shown
from kubenas.experiment.curves import joined, last_results
from kubenas.experiment.message import Report, read_message
from kubenas.experiment.rules import Rules
from kubenas.experiment.state import Attempt, Fault, Readings, Trial

# How long an ended attempt waits for its last values to be read.
READING_SECONDS = 30.0
# The kubelet tells the time of an end in whole seconds, rounded down.
CLOCK_SECONDS = 1.0
# A trainer that ended well, but left no message.
NO_RESULT = Fault("NoResult", "the trainer exited with 0, but left no result in its termination message")


def reported(trial: Trial, attempt: Attempt, readings: Readings, rules: Rules, now: float) -> Report | None:
    """What it has reported; None until its last values were read, where they are needed."""
    report = read_message(attempt.message, attempt.exit_code, trial.remaining, rules.required, finds=rules.finds)
    whole = report.told is not None and digest(trial, readings) == report.told.digest
    if report.fault is None and not whole and not _read_out(trial, attempt, readings, now):
        return None
    if report.told is not None:
        report = shown(trial, readings, report.told, rules.required)
    return _with_stopped(trial, report, readings, rules)


def end_of(attempt: Attempt, now: float) -> float:
    """When it ended, as far as is known."""
    return attempt.ended or attempt.gone_by or now


def fault_of(attempt: Attempt, reported: Fault | None) -> Fault:
    """Why an ended attempt failed: what the backend knows comes before what the trainer says."""
    if attempt.fault:
        return attempt.fault
    if reported:
        return reported
    if attempt.gone_by is not None:
        return Fault("PodDeleted", "the pod was deleted while the trial ran")
    if attempt.exit_code == 0:
        return NO_RESULT
    tail = f": {attempt.message.strip()[-2000:]}" if attempt.message.strip() else ""
    return Fault("NonZeroExit", f"the trainer exited with {attempt.exit_code}{_signal_of(attempt.exit_code)}{tail}")


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
    ended = end_of(attempt, now)
    since = readings.read_at is not None and readings.read_at >= ended + CLOCK_SECONDS
    if attempt.started is None or since or now >= ended + READING_SECONDS:
        return True
    return not trial.is_batch and (readings.source == "Pod" or readings.fault is not None)


def _signal_of(exit_code: int | None) -> str:
    try:
        return f" ({signal.Signals((exit_code or 0) - 128).name})"
    except ValueError:
        return ""
