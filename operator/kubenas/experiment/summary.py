"""An experiment in numbers, as it is exported: immutable, and of bounded size whatever the experiment has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kubenas.api.base import duration_seconds
from kubenas.api.experiment import NASExperiment
from kubenas.api.objective import Objective
from kubenas.api.space import SearchSpace
from kubenas.api.status import Best
from kubenas.experiment.measurements import Measurements
from kubenas.experiment.objectives import improved
from kubenas.experiment.progress import Progress, Standing
from kubenas.experiment.rankings import Ranking
from kubenas.experiment.reasons import CONDITIONS, bounded

RUNNING = "Running"


@dataclass(frozen=True, slots=True)
class FrontMember:
    """A candidate of the Pareto front, with its values of the objectives."""

    trial: str
    candidate: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Summary:
    """What is exported of one experiment. Times are seconds since the epoch; None is what is not known or not set.

    Attributes:
        objectives: as specified, the primary one first.
        algorithm: of the first stage.
        space: a preset's name, or the kind of a space of one's own.
        metrics_source: where trials' values are read, Prometheus or Pod.
        conditions: type, status and reason, which is one of `CONDITIONS` or "Other".
        trials: number by stage ("" where there are no stages) and phase.
        paused: candidates that wait at a rung to be promoted, by its epochs.
        slots_allowed: attempts that may run at the same time now; 0 unless the experiment runs.
        best: the best candidate's values of the objectives.
        front_size: members of the Pareto front; None where nothing is traded off.
        top: the best trials, the best first.
        front: the Pareto front as far as the status has it.
        class_seconds: time that pods have run, by price class.
        costs: what that has cost, as prices are now, by price class; of those that have a price.
        measurements: what those on devices come to, by metric.
        measuring: how many of them run, by metric.
        failures: failed attempts by reason, which is one of `FAILURES` or "Other".
        rankings: by evaluation method, how it has ranked what was trained; as far as the experiment has it.
    """

    namespace: str
    name: str
    objectives: Sequence[Objective]
    algorithm: str
    task: str
    space: str
    metrics_source: str
    phase: str
    conditions: Sequence[tuple[str, str, str]]
    created: float | None
    started: float | None
    ended: float | None
    last_result: float | None
    trials: Mapping[tuple[str, str], int]
    trials_max: int
    paused: Mapping[int, int]
    slots_busy: int
    slots_allowed: int
    slots_queued: int
    best: Mapping[str, float]
    hypervolume: float | None
    front_size: int | None
    top: Sequence[Standing]
    front: Sequence[FrontMember]
    device_seconds: float
    device_seconds_budget: float | None
    class_seconds: Mapping[str, float]
    costs: Mapping[str, float]
    cost_budget: float | None
    wall_clock_budget: float | None
    measurements: Mapping[str, Measurements]
    measuring: Mapping[str, int]
    failures: Mapping[str, int]
    failures_max: int
    rankings: Mapping[str, Ranking]


def summary(experiment: NASExperiment, progress: Progress, failures: Mapping[str, int]) -> Summary:
    """An experiment in numbers.

    Args:
        experiment: its conditions, phase and times are those that are written in its status.
        progress: what the last reconcile has found: all about its trials and results comes from there, so that
            it is of one moment.
        failures: failed attempts by reason.
    """
    spec, written, found = experiment.spec, experiment.status, progress.status
    names = [objective.metric for objective in spec.objectives]
    phase = written.phase or RUNNING
    traded = len(improved(spec.objectives)) > 1
    return Summary(
        namespace=experiment.metadata.namespace,
        name=experiment.metadata.name,
        objectives=tuple(spec.objectives),
        algorithm=progress.algorithm,
        task=spec.task.name,
        space=_space(spec.search_space),
        metrics_source=progress.metrics_source,
        phase=phase,
        conditions=tuple(
            (one.type, one.status, bounded(one.reason, CONDITIONS[one.type]))
            for one in written.conditions
            if one.type in CONDITIONS
        ),
        created=_seconds(experiment.metadata.creation_timestamp),
        started=_seconds(written.start_time),
        ended=_seconds(written.completion_time),
        last_result=progress.last_result,
        trials=progress.trials,
        trials_max=progress.trials_max,
        paused={one.epochs: one.paused for one in found.rungs},
        slots_busy=progress.slots_busy,
        slots_queued=progress.slots_queued,
        slots_allowed=progress.slots_allowed if phase == RUNNING else 0,
        best=_values(found.best, names) if found.best else {},
        hypervolume=found.hypervolume,
        front_size=progress.front_size,
        top=progress.top,
        front=tuple(
            FrontMember(one.trial, one.candidate, _values(one, names)) for one in (found.pareto_front if traded else ())
        ),
        device_seconds=progress.device_seconds,
        device_seconds_budget=None if spec.budget.gpu_hours is None else spec.budget.gpu_hours * 3600,
        class_seconds=progress.class_seconds,
        costs={
            name: seconds / 3600 * spec.budget.prices[name]
            for name, seconds in progress.class_seconds.items()
            if name in spec.budget.prices
        },
        cost_budget=spec.budget.cost,
        wall_clock_budget=None if spec.budget.wall_clock is None else float(duration_seconds(spec.budget.wall_clock)),
        measurements=progress.measurements,
        measuring=progress.measuring,
        failures=failures,
        failures_max=spec.trials.max_failures,
        rankings={
            method: ranking
            for method, ranking in (
                ("zero-cost", progress.judgements.proxies),
                ("supernet", progress.judgements.supernet),
            )
            if ranking is not None
        },
    )


def _space(space: SearchSpace) -> str:
    if space.preset is not None:
        return space.preset
    return "parameters" if space.parameters is not None else "cell" if space.cell is not None else "macro"


def _values(best: Best, names: Sequence[str]) -> dict[str, float]:
    found = {one.name: one.value for one in best.metrics}
    return {name: found[name] for name in names if name in found}


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()
