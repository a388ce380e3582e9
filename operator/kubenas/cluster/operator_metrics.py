"""Metrics of the operator's own work since its start; those of experiments are in `collector`.

The names are documented in docs/monitoring.md.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from kubenas import __version__
from kubenas.experiment.phases import ATTEMPT_PHASES

REGISTRY = CollectorRegistry()
# A further series for each counter and histogram, which nothing here asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

ProcessCollector(registry=REGISTRY)
Gauge("kubenas_build_info", "The operator's version.", ["version"], registry=REGISTRY).labels(__version__).set(1)

REQUESTS = Counter(
    "kubenas_api_requests", "Requests to the apiserver (code 0: no answer).", ["verb", "code"], registry=REGISTRY
)
RECONCILES = Histogram(
    "kubenas_reconcile_seconds",
    "Time of one reconcile of an experiment, writes included.",
    registry=REGISTRY,
    buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.3, 1, 3, 10),
)
RECONCILE_ERRORS = Counter("kubenas_reconcile_errors", "Reconciles that ended with an error.", registry=REGISTRY)
UNREADABLE = Counter(
    "kubenas_unreadable_objects",
    "Versions of objects that could not be read and were left out, by kind.",
    ["kind"],
    registry=REGISTRY,
)
for _kind in ("NASExperiment", "NASTrial", "Pod"):
    UNREADABLE.labels(_kind)
READS = Counter("kubenas_metric_reads", "Readings of trials' values.", ["outcome"], registry=REGISTRY)
for _outcome in ("succeeded", "failed"):
    READS.labels(_outcome)
TRIAL_PHASES = Histogram(
    "kubenas_trial_phase_seconds",
    "Time of trials' pods until a node takes them, until the trainer runs, until the trainer has ended.",
    ["phase"],
    registry=REGISTRY,
    buckets=(1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 2 * 3600, 6 * 3600, 24 * 3600),
)
for _phase in ATTEMPT_PHASES:
    TRIAL_PHASES.labels(_phase)
PROPOSALS = Counter("kubenas_proposals", "Candidates that were proposed.", ["strategy"], registry=REGISTRY)
PROPOSAL_SECONDS = Histogram(
    "kubenas_proposal_seconds",
    "Time that a reconcile's proposals took, with the fits and requests that they waited for.",
    ["strategy"],
    registry=REGISTRY,
    buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.3, 1, 3, 10, 30, 100, 300),
)
OBJECT_BYTES = Histogram(
    "kubenas_object_bytes",
    "Size of objects as the apiserver returned them after a write, by kind.",
    ["kind"],
    registry=REGISTRY,
    buckets=tuple(2.0**power for power in range(10, 21)),
)
LAG = Histogram(
    "kubenas_event_loop_lag_seconds",
    "How much later than it asked for a task of the event loop got its turn.",
    registry=REGISTRY,
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 5),
)
LONGEST_LAG = Gauge(
    "kubenas_event_loop_longest_lag_seconds", "The longest such lag since the start.", registry=REGISTRY
)
