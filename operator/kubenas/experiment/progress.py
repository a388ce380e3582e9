"""What a reconcile has found of an experiment, in numbers: for metrics, and kept until the next reconcile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubenas.api.status import ExperimentStatus
from kubenas.api.trial import MAX_CLASSES
from kubenas.experiment.capacity import capacity
from kubenas.experiment.device_queues import needed, on_devices
from kubenas.experiment.judged import Judged
from kubenas.experiment.judgements import Judgements
from kubenas.experiment.measurements import Measurements, added
from kubenas.experiment.objectives import improved
from kubenas.experiment.plan import Observed, spending_of
from kubenas.experiment.proposals import total_trials
from kubenas.experiment.spending import Spent
from kubenas.experiment.state import AttemptPhase, trial_name
from kubenas.experiment.verdict import front
from kubenas.experiment.wakes import Wakes


@dataclass(frozen=True, slots=True)
class Standing:
    """One of the best trials, with the values of the objectives of its best candidate."""

    trial: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an experiment is. Immutable, so that any thread may read it.

    Attributes:
        status: what the experiment's status should be.
        algorithm: of the first stage.
        metrics_source: where values of the running trials are read; those of batches never come from Prometheus.
        trials: number by stage ("" where there are no stages) and phase.
        trials_max: trials that the experiment will have at most.
        slots_busy: slots that an attempt holds.
        slots_allowed: slots in all.
        slots_queued: slots whose attempt a queue holds.
        front_size: members of the Pareto front; None where nothing is traded off.
        top: the best trials, the best first.
        device_seconds: spent by ended and running attempts.
        class_seconds: time that their pods have run, by price class.
        measurements: what those on devices come to, by metric.
        measuring: how many of them run, by metric.
        last_result: when a trial last ended, in seconds since the epoch.
        judgements: what trainings tell of cheap ways to judge.
    """

    status: ExperimentStatus
    algorithm: str
    metrics_source: str
    trials: Mapping[tuple[str, str], int]
    trials_max: int
    slots_busy: int
    slots_allowed: int
    slots_queued: int
    front_size: int | None
    top: Sequence[Standing]
    device_seconds: float
    class_seconds: Mapping[str, float]
    measurements: Mapping[str, Measurements]
    measuring: Mapping[str, int]
    last_result: float | None
    judgements: Judgements


def progress(observed: Observed, status: ExperimentStatus, before: Progress | None, now: float) -> Progress:
    """How far an experiment is, by what was observed.

    Args:
        status: what the plan for it says.
        before: what the reconcile before has found. Time spent never falls, though an attempt may turn out to have
            ended sooner, and trials may be deleted.
        now: seconds since the epoch.
    """
    experiment, ledger, stages = observed.experiment, observed.ledger, observed.stages
    spec, ended = experiment.spec, status.completion_time is not None
    slots = capacity(spec.trials, ledger.unfinished, observed.attempts, now, Wakes())
    records = [ledger.stage(stage.name) for stage in stages if stage.decides]
    best: Sequence[Judged] = next((top for record in reversed(records) if (top := record.top(ended=ended))), ())
    several = len(improved(spec.objectives)) > 1
    spent = spending_of(observed, now).spent
    # None has any where the first stage finds architectures by itself.
    search = next((stage.search for stage in stages if stage.search and not stage.made), spec.search)
    return Progress(
        status=status,
        algorithm=search.algorithm,
        metrics_source="Pod" if any(one.is_batch for one in ledger.unfinished.values()) else spec.metrics.source,
        trials=_trials(observed, status),
        trials_max=max(total_trials(stages, ledger), len(ledger)),
        slots_busy=slots.busy,
        slots_allowed=slots.slots,
        slots_queued=status.counts.queued if status.counts else 0,
        front_size=len(front(stages, ledger).members) if several else None,
        top=tuple(
            Standing(
                trial_name(experiment.metadata.name, one.trial),
                {o.metric: one.metrics[o.metric] for o in spec.objectives},
            )
            for one in best
        ),
        device_seconds=max(spent.gpu_seconds, before.device_seconds if before else 0.0),
        class_seconds=_never_less(spent, before.class_seconds if before else {}),
        measurements=_measurements(observed, before.measurements if before else {}),
        measuring=_measuring(observed),
        last_result=ledger.last_completed,
        judgements=ledger.judgements(spec.objectives[0]),
    )


def _never_less(spent: Spent, before: Mapping[str, float]) -> dict[str, float]:
    """Seconds by price class, of as many classes as a status has."""
    found = {**before, **{name: max(time / 1000, before.get(name, 0.0)) for name, time in spent.classes.items()}}
    return {name: found[name] for name in sorted(found)[:MAX_CLASSES]}


def _measurements(observed: Observed, before: Mapping[str, Measurements]) -> dict[str, Measurements]:
    """Of each metric that devices measure."""
    ledger = observed.ledger
    measured = [one for trial in ledger.unfinished.values() for one in trial.status.measurements]
    found = added(ledger.measurements, measured)
    names = [objective.metric for _, objective, _ in on_devices(observed.stages[-1])]
    return {name: found.get(name, Measurements()).never_less(before.get(name, Measurements())) for name in names}


def _measuring(observed: Observed) -> dict[str, int]:
    stage = observed.stages[-1]
    benchmarks = needed(stage, observed.ledger.unfinished, observed.benchmarks).values()
    running = Counter(one.benchmark for one in benchmarks if one.phase is AttemptPhase.RUNNING)
    return {objective.metric: running[number] for number, objective, _ in on_devices(stage)}


def _trials(observed: Observed, status: ExperimentStatus) -> dict[tuple[str, str], int]:
    """Trials by stage and phase. Those that have not ended belong to one stage: the next one begins after their end."""
    found: dict[tuple[str, str], int] = {}
    for stage in observed.stages:
        name = stage.name or ""
        counts = status.counts if status.counts is not None and status.stage == stage.name else None
        found[name, "Pending"] = counts.pending if counts else 0
        found[name, "Running"] = counts.running if counts else 0
        if on_devices(stage):
            found[name, "Measuring"] = counts.measuring if counts else 0
        for phase, count in observed.ledger.stage(stage.name).phases.items():
            found[name, phase] = count
    return found
