"""An experiment's status: computed from all that is known, equal as long as that is equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kubenas.api.base import Condition
from kubenas.api.errors import SpecError
from kubenas.api.experiment import NASExperiment
from kubenas.api.status import MAX_FINALISTS, MAX_FRONT, Best, Cost, Counts, ExperimentStatus, Imported, Measured
from kubenas.experiment.actions import Announcement
from kubenas.experiment.capacity import Capacity
from kubenas.experiment.generalization import generalization
from kubenas.experiment.judged import Judged, distinct, spread_evenly
from kubenas.experiment.judgements import findings
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.objectives import improved
from kubenas.experiment.proposals import total_trials
from kubenas.experiment.stages import ResolvedStage
from kubenas.experiment.state import Attempt, Fault, Readings, metrics_of, moment, trial_name
from kubenas.experiment.verdict import Verdict, best_at_end, best_candidate, front

# A pod that no node takes for so long is worth a condition: an autoscaler would have begun to add a node.
UNSCHEDULABLE_SECONDS = 60.0
EXPERIMENT_LABEL = "kubenas.io/experiment"

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
    slots: Capacity


def experiment_status(experiment: NASExperiment, ledger: Ledger, seen: Seen, now: float) -> ExperimentStatus:
    """The status that the experiment should have now."""
    old = experiment.status
    counts = Counts(
        pending=len(ledger.unfinished) - seen.running,
        running=seen.running,
        succeeded=ledger.count("Succeeded"),
        pruned=ledger.count("Pruned"),
        failed=ledger.count("Failed"),
    )
    begun = old.start_time or (moment(now) if len(ledger) or seen.starting else None)
    completed = None
    if seen.end is not None:
        completed = old.completion_time or moment(now)
    ended = seen.end is not None
    best = best_at_end(seen.stages, ledger) if ended else best_candidate(seen.stages, ledger)
    traded = front(seen.stages, ledger) if len(improved(experiment.spec.objectives)) > 1 else None
    last = seen.stages[-1]
    finalists = distinct(ledger.ranked(last, ended=ended), MAX_FINALISTS) if last.seeds > 1 else []
    return ExperimentStatus(
        observed_generation=experiment.metadata.generation,
        phase=_phase(experiment, seen),
        conditions=_conditions(experiment, ledger, seen, finalists, begun is not None, now),
        start_time=begun,
        completion_time=completed,
        progress=f"{len(ledger.ended)}/{max(total_trials(seen.stages, ledger), len(ledger))}",
        counts=counts,
        best=_best(experiment, ledger, best) if best else None,
        pareto_front=[
            _best(experiment, ledger, judged) for judged in spread_evenly(traded.members if traded else (), MAX_FRONT)
        ],
        finalists=[_best(experiment, ledger, judged) for judged in finalists],
        warm_start=old.warm_start or list(seen.imported),
        hypervolume=traded.hypervolume if traded else None,
        stage=seen.stage.name,
        slots=seen.slots.slots if experiment.spec.trials.autoscale and not ended else None,
        cost=Cost(gpu_hours=round(ledger.gpu_seconds / 3600, 4)),
        selector=f"{EXPERIMENT_LABEL}={experiment.metadata.name}",
    )


def unreconciled(experiment: NASExperiment, fault: Fault, now: float) -> ExperimentStatus:
    """The experiment's status where nothing new could be computed or written, with the reason."""
    make = _conditions_of(experiment, now)
    others = [c for c in experiment.status.conditions if c.type != "Reconciled"]
    condition = make("Reconciled", False, fault.reason, f"{fault.message}; it is tried again"[:32768])
    return experiment.status.model_copy(
        update={"conditions": sorted([*others, condition], key=lambda c: c.type)},
    )


def rejected(generation: int, problems: Sequence[SpecError], now: float) -> ExperimentStatus:
    """The status of an experiment that cannot be read."""
    condition = Condition(
        type="Accepted",
        status="False",
        reason="InvalidSpec",
        message=_listed(problems),
        observed_generation=generation,
        last_transition_time=moment(now),
    )
    return ExperimentStatus(observed_generation=generation, phase="Rejected", conditions=[condition])


def announcements(old: ExperimentStatus, new: ExperimentStatus) -> list[Announcement]:
    """What the change from `old` to `new` means to a person."""
    said = []
    for condition in new.conditions:
        before = next((c for c in old.conditions if c.type == condition.type), None)
        if before is not None and before.status == condition.status and before.reason == condition.reason:
            continue
        if (condition.type, condition.status) in _WORTH_TELLING:
            kind: Literal["Normal", "Warning"] = "Normal" if condition.status == "True" else "Warning"
            kind = "Warning" if condition.type == "Failed" else kind
            reason = condition.type if condition.status == "True" else condition.reason
            said.append(Announcement(kind, reason, condition.message))
    if not old.warm_start:
        said += [
            Announcement(
                "Warning", "TrialsLeftOut", f"spec.warmStart: left out of {one.experiment}: {'; '.join(one.left_out)}"
            )
            for one in new.warm_start
            if one.left_out
        ]
    if old.start_time is None and new.start_time is not None:
        said.insert(0, Announcement("Normal", "Started", "The search has started."))
    return said


_WORTH_TELLING = frozenset(
    {
        ("Accepted", "False"),
        ("MetricsAvailable", "False"),
        ("ProposalsAvailable", "False"),
        ("Reconciled", "False"),
        ("TrialsScheduled", "False"),
        ("Generalizes", "False"),
        ("ProxyUseful", "False"),
        ("RankingReliable", "False"),
        ("Converged", "False"),
        ("Suspended", "True"),
        ("Succeeded", "True"),
        ("Failed", "True"),
    }
)


def _phase(experiment: NASExperiment, seen: Seen) -> Literal["Running", "Suspended", "Succeeded", "Failed", "Rejected"]:
    if seen.end is not None:
        return "Succeeded" if seen.end.succeeded else "Failed"
    if seen.problems:
        return "Rejected"
    return "Suspended" if experiment.spec.suspend else "Running"


def _conditions_of(experiment: NASExperiment, now: float) -> _Make:
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


def _conditions(
    experiment: NASExperiment, ledger: Ledger, seen: Seen, finalists: Sequence[Judged], begun: bool, now: float
) -> list[Condition]:
    old = {c.type: c for c in experiment.status.conditions}
    condition = _conditions_of(experiment, now)
    end, suspended = seen.end, experiment.spec.suspend
    told = findings(experiment, ledger.judgements(experiment.spec.objectives[0]))
    found = [
        _accepted(seen, condition),
        _metrics(seen, old.get("MetricsAvailable"), condition),
        _proposals(seen, condition),
        _reconciled(seen, condition),
        _scheduled(seen, condition),
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
    return condition("Accepted", False, "InvalidSpec", _listed(seen.problems))


def _listed(problems: Sequence[SpecError]) -> str:
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


def _scheduled(seen: Seen, condition: _Make) -> Condition:
    if seen.refusal is not None:
        message = f"A trial or its pod was refused and is tried again; see spec.trialTemplate: {seen.refusal}"
        return condition("TrialsScheduled", False, "PodRefused", message[:32768])
    if not seen.unschedulable:
        return condition("TrialsScheduled", True, "Scheduled", "No pod waits for a node for long.")
    first = min(seen.unschedulable, key=lambda a: a.name)
    message = first.waiting.message if first.waiting else ""
    more = len(seen.unschedulable) - 1
    others = f" (and {more} more)" if more else ""
    said = f"No node takes pod {first.name}{others}: {message}"
    if seen.slots.without_nodes:
        said = f"No further trials are started until there are nodes for those that wait. {said}"
        return condition("TrialsScheduled", False, "NodesUnavailable", said[:32768])
    return condition("TrialsScheduled", False, "Unschedulable", said[:32768])


def _best(experiment: NASExperiment, ledger: Ledger, best: Judged) -> Best:
    primary = experiment.spec.objectives[0].metric
    return Best(
        trial=trial_name(experiment.metadata.name, best.trial),
        candidate=best.candidate,
        value=best.metrics[primary],
        seeds=len(best.trainings) or None,
        source=best.source,
        name=ledger.space.name(best.architecture),
        architecture=best.architecture.to_json(),
        metrics=[Measured(name=n, value=v, spread=best.spread(n)) for n, v in metrics_of(best.metrics)],
    )
