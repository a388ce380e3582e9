"""An experiment's status: computed from all that is known, equal as long as that is equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from kubenas.api.base import Condition
from kubenas.api.errors import SpecError
from kubenas.api.experiment import NASExperiment
from kubenas.api.status import MAX_FINALISTS, MAX_FRONT, Best, Counts, ExperimentStatus, Measured, Rung
from kubenas.api.trial import MAX_RUNGS
from kubenas.experiment.actions import Announcement
from kubenas.experiment.conditions import Seen, conditions, conditions_of, listed
from kubenas.experiment.judged import Judged, distinct, spread_evenly
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.objectives import improved
from kubenas.experiment.proposals import total_trials
from kubenas.experiment.spending import cost_of
from kubenas.experiment.state import Fault, metrics_of, moment, trial_name
from kubenas.experiment.trainings import promoter_of
from kubenas.experiment.verdict import best_at_end, best_candidate, front

# A pod that no node takes for so long is worth a condition: an autoscaler would have begun to add a node.
UNSCHEDULABLE_SECONDS = 60.0
EXPERIMENT_LABEL = "kubenas.io/experiment"


def experiment_status(experiment: NASExperiment, ledger: Ledger, seen: Seen, now: float) -> ExperimentStatus:
    """The status that the experiment should have now."""
    old = experiment.status
    promoter = promoter_of(seen.stage)
    rungs = ledger.stage(seen.stage.name).trainings.rungs(promoter) if promoter else ()
    counts = Counts(
        pending=len(ledger.unfinished) - seen.running - len(seen.measuring),
        queued=seen.held,
        running=seen.running,
        measuring=len(seen.measuring),
        succeeded=ledger.count("Succeeded"),
        paused=sum(one.paused for one in rungs),
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
        conditions=conditions(experiment, ledger, seen, finalists, begun is not None, now),
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
        rungs=[Rung(epochs=one.epochs, reached=one.reached, paused=one.paused) for one in rungs[:MAX_RUNGS]],
        slots=seen.slots.slots if experiment.spec.trials.autoscale and not ended else None,
        cost=cost_of(seen.spending, experiment.spec.budget.prices, old.cost),
        checkpoints_removed=seen.removed,
        selector=f"{EXPERIMENT_LABEL}={experiment.metadata.name}",
    )


def unreconciled(experiment: NASExperiment, fault: Fault, now: float) -> ExperimentStatus:
    """The experiment's status where nothing new could be computed or written, with the reason."""
    make = conditions_of(experiment, now)
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
        message=listed(problems),
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
        ("TrialsAdmitted", "False"),
        ("TrialsScheduled", "False"),
        ("DevicesAvailable", "False"),
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
