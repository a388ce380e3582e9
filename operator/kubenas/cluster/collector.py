"""Experiments as metrics, made at each scrape of what the stores have then.

The names are documented in docs/monitoring.md. No architecture, seed or text is ever a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from kubenas.experiment.summary import Summary
from kubenas.metrics.selection import Snapshot, counted, exported

_Samples: TypeAlias = Iterable[tuple[Sequence[str], float]]


@dataclass(frozen=True, slots=True)
class _Family:
    """A metric of experiments.

    Attributes:
        labels: beside the namespace and the experiment.
        samples: values of those labels, and the metric's value.
    """

    name: str
    documentation: str
    samples: Callable[[Summary], _Samples]
    labels: tuple[str, ...] = ()
    counter: bool = False

    def metric(self, summaries: Iterable[Summary]) -> Metric:
        labels = ("namespace", "experiment", *self.labels)
        make = CounterMetricFamily if self.counter else GaugeMetricFamily
        metric = make(self.name, self.documentation, labels=labels)
        for summary in summaries:
            for values, value in self.samples(summary):
                metric.add_metric([summary.namespace, summary.name, *values], value)
        return metric


def _one(value: float | None) -> _Samples:
    return () if value is None else [((), value)]


_FAMILIES: Final = (
    _Family(
        "kubenas_experiment_info",
        "What is searched and how: the primary objective, the first stage's algorithm.",
        lambda s: [((s.objectives[0].metric, s.objectives[0].goal, s.algorithm, s.task, s.space, s.metrics_source), 1)],
        ("objective", "goal", "algorithm", "task", "space", "metrics_source"),
    ),
    _Family("kubenas_experiment_phase", "1 for the current phase.", lambda s: [((s.phase,), 1)], ("phase",)),
    _Family(
        "kubenas_experiment_condition",
        "1 for the current status and reason of each condition.",
        lambda s: [(condition, 1) for condition in s.conditions],
        ("condition", "status", "reason"),
    ),
    _Family(
        "kubenas_experiment_created_timestamp_seconds",
        "When the experiment was created.",
        lambda s: _one(s.created),
    ),
    _Family(
        "kubenas_experiment_started_timestamp_seconds",
        "When its first trial was started.",
        lambda s: _one(s.started),
    ),
    _Family("kubenas_experiment_ended_timestamp_seconds", "When the experiment ended.", lambda s: _one(s.ended)),
    _Family(
        "kubenas_experiment_last_result_timestamp_seconds",
        "When a trial last ended.",
        lambda s: _one(s.last_result),
    ),
    _Family(
        "kubenas_experiment_trials",
        "Trials by stage and phase.",
        lambda s: s.trials.items(),
        ("stage", "phase"),
    ),
    _Family(
        "kubenas_experiment_trials_max",
        "Trials that the experiment will have at most, in all stages.",
        lambda s: _one(s.trials_max),
    ),
    _Family(
        "kubenas_experiment_paused",
        "Candidates that wait at a rung to be promoted, by its epochs.",
        lambda s: [((str(epochs),), count) for epochs, count in s.paused.items()],
        ("rung",),
    ),
    _Family("kubenas_experiment_slots_busy", "Slots that an attempt holds.", lambda s: _one(s.slots_busy)),
    _Family(
        "kubenas_experiment_slots_allowed",
        "Attempts that may run at the same time while the experiment runs, else 0.",
        lambda s: _one(s.slots_allowed),
    ),
    _Family(
        "kubenas_experiment_slots_queued",
        "Slots whose pod waits in a queue for its admission.",
        lambda s: _one(s.slots_queued),
    ),
    _Family(
        "kubenas_experiment_objective_info",
        "The experiment's objectives.",
        lambda s: [((o.metric, o.goal), 1) for o in s.objectives],
        ("metric", "goal"),
    ),
    _Family(
        "kubenas_experiment_objective_target",
        "The value that ends the search, where there is one.",
        lambda s: [((o.metric,), o.target) for o in s.objectives if o.target is not None],
        ("metric",),
    ),
    _Family(
        "kubenas_experiment_objective_limit",
        "The worst value that is allowed, where there is one.",
        lambda s: [((o.metric,), o.limit) for o in s.objectives if o.limit is not None],
        ("metric",),
    ),
    _Family(
        "kubenas_experiment_best_value",
        "The best candidate's value of each objective.",
        lambda s: [((metric,), value) for metric, value in s.best.items()],
        ("metric",),
    ),
    _Family(
        "kubenas_experiment_hypervolume",
        "Hypervolume between the Pareto front and the objectives' references.",
        lambda s: _one(s.hypervolume),
    ),
    _Family("kubenas_experiment_front_size", "Members of the Pareto front.", lambda s: _one(s.front_size)),
    _Family(
        "kubenas_experiment_top_value",
        "Objectives of the best trials, by the best candidate of each; rank 1 is the best.",
        lambda s: [
            ((one.trial, str(rank), metric), value)
            for rank, one in enumerate(s.top, 1)
            for metric, value in one.values.items()
        ],
        ("trial", "rank", "metric"),
    ),
    _Family(
        "kubenas_experiment_front_value",
        "Objectives of the Pareto front's members, at most 32 of them, spread evenly.",
        lambda s: [
            ((one.trial, one.candidate, metric), value) for one in s.front for metric, value in one.values.items()
        ],
        ("trial", "candidate", "metric"),
    ),
    _Family(
        "kubenas_experiment_ranking_correlation",
        "Kendall's tau of a cheap judgement, a proxy or a supernet's, with the primary objective after training.",
        lambda s: [
            ((method, metric), tau) for method, one in s.rankings.items() for metric, tau in one.correlations.items()
        ],
        ("method", "metric"),
    ),
    _Family(
        "kubenas_experiment_ranking_candidates",
        "Candidates that were judged cheaply and then trained.",
        lambda s: [((method,), one.candidates) for method, one in s.rankings.items()],
        ("method",),
    ),
    _Family(
        "kubenas_experiment_device_seconds",
        "Device time spent by ended and running attempts, as the budget counts it.",
        lambda s: _one(s.device_seconds),
        counter=True,
    ),
    _Family(
        "kubenas_experiment_device_seconds_budget",
        "Device time that may be spent, where budget.gpuHours is set.",
        lambda s: _one(s.device_seconds_budget),
    ),
    _Family(
        "kubenas_experiment_class_seconds",
        "Time that pods of ended and running attempts have run, by price class.",
        lambda s: [((name,), seconds) for name, seconds in s.class_seconds.items()],
        ("class",),
        counter=True,
    ),
    _Family(
        "kubenas_experiment_cost",
        "What was spent by budget.prices as they are now, by price class.",
        lambda s: [((name,), cost) for name, cost in s.costs.items()],
        ("class",),
    ),
    _Family(
        "kubenas_experiment_cost_budget", "What may be spent, where budget.cost is set.", lambda s: _one(s.cost_budget)
    ),
    _Family(
        "kubenas_experiment_wall_clock_seconds_budget",
        "Time from the start that the experiment may take, where budget.wallClock is set.",
        lambda s: _one(s.wall_clock_budget),
    ),
    _Family(
        "kubenas_experiment_measurements_open",
        "Measurements on devices without a value yet, by objective: those that run, and those that wait.",
        lambda s: [
            ((metric, state), count)
            for metric, one in s.measurements.items()
            for state, count in (("running", s.measuring[metric]), ("waiting", one.open - s.measuring[metric]))
        ],
        ("metric", "state"),
    ),
    _Family(
        "kubenas_experiment_measurements",
        "Measurements on devices that have a value or were given up, and attempts that failed, by objective.",
        lambda s: [
            ((metric, outcome), count)
            for metric, one in s.measurements.items()
            for outcome, count in (("measured", one.measured), ("given_up", one.given_up), ("failed", one.failed))
        ],
        ("metric", "outcome"),
        counter=True,
    ),
    _Family(
        "kubenas_experiment_measurement_seconds",
        "Time that pods of ended attempts to measure on devices have run, by objective.",
        lambda s: [((metric,), one.milliseconds / 1000) for metric, one in s.measurements.items()],
        ("metric",),
        counter=True,
    ),
    _Family(
        "kubenas_experiment_failures",
        "Attempts that failed, by reason.",
        lambda s: [((reason,), count) for reason, count in s.failures.items()],
        ("reason",),
        counter=True,
    ),
    _Family(
        "kubenas_experiment_failures_max",
        "Failed trials above which the experiment fails.",
        lambda s: _one(s.failures_max),
    ),
)


class Scrape(Collector):
    """What one scrape answers; collected in a thread, since it takes long with many experiments.

    Args:
        process: the metrics of this process.
        leads: whether this replica holds the lease.
        snapshots: of all experiments; none where another replica leads.
    """

    def __init__(self, process: Collector, *, leads: bool, snapshots: Sequence[Snapshot]) -> None:
        self._process, self._leads, self._snapshots = process, leads, snapshots

    def collect(self) -> Iterator[Metric]:
        """All families, those without samples too."""
        yield from self._process.collect()
        yield GaugeMetricFamily("kubenas_leader", "1 while this replica holds the lease.", value=self._leads)
        experiments = GaugeMetricFamily("kubenas_experiments", "Experiments.", labels=("namespace", "phase"))
        for labels, count in counted(self._snapshots).items():
            experiments.add_metric(labels, count)
        yield experiments
        summaries = exported(self._snapshots)
        for family in _FAMILIES:
            yield family.metric(summaries)
