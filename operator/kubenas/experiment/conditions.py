"""An experiment's conditions: what programs and `kubectl wait` read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kubenas.api.base import Condition
from kubenas.api.errors import SpecError
from kubenas.api.experiment import NASExperiment
from kubenas.api.status import Imported
from kubenas.experiment.admission import QueueReason, admitted
from kubenas.experiment.capacity import Capacity
from kubenas.experiment.device_queues import Devices, on_devices
from kubenas.experiment.generalization import generalization
from kubenas.experiment.judged import Judged
from kubenas.experiment.judgements import findings
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.scheduled import scheduled
from kubenas.experiment.spending import Spending
from kubenas.experiment.stages import ResolvedStage
from kubenas.experiment.state import Attempt, Readings, Trial, moment
from kubenas.experiment.verdict import Verdict

# (type, whether it holds, reason, message) -> condition
_Make: TypeAlias = Callable[[str, bool | None, str, str], Condition]
_HOLDS = {"True": True, "False": False, "Unknown": None}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found of the experiment, beside its trials."""

    stage: ResolvedStage
    stages: Sequence[ResolvedStage]
    end: Verdict | None
    problems: Sequence[SpecError]
    readings: Readings
    unschedulable: Sequence[Attempt]
    # Trials whose attempt a queue holds; attempts that it has held for long, and what is known of the reason.
    held: int
    queued: Sequence[Attempt]
    queue_reason: QueueReason | None
    refusal: str | None
    # Why proposals are not what they should be.
    proposals: str | None
    # What is wrong with objects that had to be left out.
    unreadable: Sequence[str]
    # What other experiments have brought, until it is recorded.
    imported: Sequence[Imported]
    starting: bool
    # Trials whose attempt runs now.
    running: int
    # Trials that devices are to measure.
    measuring: Sequence[Trial]
    devices: Devices
    slots: Capacity
    spending: Spending
    # Trials whose checkpoints are removed now, or were before.
    removed: int | None


def conditions_of(experiment: NASExperiment, now: float) -> _Make:
    """Makes conditions of an experiment; one that stays as it was keeps its time."""
    old = {c.type: c for c in experiment.status.conditions}
    generation = experiment.metadata.generation

    def condition(kind: str, holds: bool | None, reason: str, message: str) -> Condition:
        status: Literal["True", "False", "Unknown"] = "Unknown" if holds is None else "True" if holds else "False"
        before = old.get(kind)
        same = before is not None and before.status == status
        return Condition(
            type=kind,
            status=status,
            reason=reason,
            message=message,
            observed_generation=generation,
            last_transition_time=before.last_transition_time if before and same else moment(now),
        )

    return condition


def conditions(
    experiment: NASExperiment, ledger: Ledger, seen: Seen, finalists: Sequence[Judged], begun: bool, now: float
) -> list[Condition]:
    """All conditions that the experiment should have now, by type.

    Args:
        finalists: candidates of the last stage, the best first, where that has several seeds.
        begun: whether a trial was ever started.
    """
    old = {c.type: c for c in experiment.status.conditions}
    condition = conditions_of(experiment, now)
    end, suspended = seen.end, experiment.spec.suspend
    told = [
        ("TrialsAdmitted", admitted(seen.queued, seen.queue_reason)),
        ("TrialsScheduled", scheduled(seen.refusal, seen.unschedulable, seen.slots.without_nodes)),
        *findings(experiment, ledger.judgements(experiment.spec.objectives[0])),
    ]
    found = [
        _accepted(seen, condition),
        _metrics(seen, old.get("MetricsAvailable"), condition),
        _proposals(seen, condition),
        _reconciled(seen, condition),
        *_devices(ledger, seen, condition),
        _generalizes(experiment, seen, finalists, condition),
        *(condition(kind, one.holds, one.reason, one.message) for kind, one in told),
    ]
    if end is not None:
        found.append(condition("Running", False, "Ended", "The experiment has ended."))
    elif seen.problems:
        found.append(condition("Running", False, "Rejected", "The specification was not accepted."))
    elif suspended:
        found.append(condition("Running", False, "Suspended", "The experiment is suspended."))
    else:
        found.append(
            condition("Running", True, "Searching", "Trials are proposed and run." if begun else "About to start.")
        )
    holds = suspended and end is None
    found.append(
        condition("Suspended", holds, "Suspended", "suspend is true: no trial runs.")
        if holds
        else condition("Suspended", False, "NotSuspended", "Trials may run.")
    )
    for kind, succeeded in (("Succeeded", True), ("Failed", False)):
        if end is not None and end.succeeded is succeeded:
            found.append(condition(kind, True, end.reason, end.message))
        else:
            reason = "Ended" if end is not None else "NotEnded"
            found.append(condition(kind, False, reason, "It ended otherwise." if end else "The experiment goes on."))
    return sorted(found, key=lambda c: c.type)


def _accepted(seen: Seen, condition: _Make) -> Condition:
    if not seen.problems:
        return condition("Accepted", True, "Valid", "The specification is valid.")
    return condition("Accepted", False, "InvalidSpec", listed(seen.problems))


def listed(problems: Sequence[SpecError]) -> str:
    """What is wrong with a specification, in one message."""
    return "; ".join(str(p) for p in problems)[:32768]


def _reconciled(seen: Seen, condition: _Make) -> Condition:
    if not seen.unreadable:
        return condition("Reconciled", True, "Reconciled", "All that is known of the experiment is acted on.")
    return condition("Reconciled", False, "ObjectLeftOut", "; ".join(seen.unreadable[:8])[:32768])


def _metrics(seen: Seen, before: Condition | None, condition: _Make) -> Condition:
    readings = seen.readings
    if readings.fault is not None:
        return condition("MetricsAvailable", False, readings.fault.reason, readings.fault.message)
    if readings.read_at is None and before is not None:
        # Nothing new is known after a restart.
        return condition("MetricsAvailable", _HOLDS[before.status], before.reason, before.message)
    if readings.read_at is None:
        return condition("MetricsAvailable", None, "NotReadYet", "No trial has run long enough to be read.")
    return condition("MetricsAvailable", True, "Read", f"Values of running trials are read from {readings.source}.")


def _proposals(seen: Seen, condition: _Make) -> Condition:
    if seen.proposals is None:
        return condition("ProposalsAvailable", True, "Proposing", "The search strategy answers.")
    message = f"spec.{seen.stage.search_field}: {seen.proposals}; the search goes on without it"
    return condition("ProposalsAvailable", False, "StrategyFault", message[:32768])


def _generalizes(experiment: NASExperiment, seen: Seen, finalists: Sequence[Judged], condition: _Make) -> Condition:
    found = generalization(experiment.spec.objectives[0], seen.stages[-1], finalists)
    return condition("Generalizes", found.holds, found.reason, found.message)


def _devices(ledger: Ledger, seen: Seen, condition: _Make) -> Iterator[Condition]:
    """Whether devices measure; nothing where no objective is measured on one."""
    if not on_devices(seen.stages[-1]):
        return
    outstanding = [one for trial in seen.measuring for one in trial.status.measurements if one.completion_time is None]
    failures = [(one.last_failure.time.timestamp(), one) for one in outstanding if one.last_failure is not None]
    last = ledger.unmeasured
    if seen.devices.away and outstanding:
        why = seen.devices.away[min(seen.devices.away)]
        message = f"{len(outstanding)} measurements wait: {why}"
        yield condition("DevicesAvailable", False, "DeviceUnavailable", message[:32768])
    elif failures:
        _, one = max(failures, key=lambda failed: failed[0])
        why = f"{one.last_failure.reason}: {one.last_failure.message}" if one.last_failure else ""
        message = f"{one.metric} is measured again after {one.failures} failed attempts: {why}"
        yield condition("DevicesAvailable", False, "MeasurementFailed", message)
    elif last is not None and last.fault is not None and last.at > max(ledger.measured_at.values(), default=0.0):
        message = f"The last measurement of {last.metric} was given up: {last.fault.reason}: {last.fault.message}"
        reason = "DeviceUnavailable" if last.fault.reason == "DeviceUnavailable" else "MeasurementFailed"
        yield condition("DevicesAvailable", False, reason, message)
    else:
        yield condition("DevicesAvailable", True, "Available", "Devices measure candidates once they are trained.")
