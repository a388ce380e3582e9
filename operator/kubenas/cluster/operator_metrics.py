"""What the operator exports of itself to Prometheus. No architecture, trial or seed is ever a label."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

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
READS = Counter("kubenas_metric_reads", "Readings of trials' values.", ["outcome"], registry=REGISTRY)
TRIALS_ENDED = Counter("kubenas_trials_ended", "Trials that ended, by phase.", ["phase"], registry=REGISTRY)
OBJECT_BYTES = Histogram(
    "kubenas_object_bytes",
    "Size of objects as the apiserver returned them after a write, by kind.",
    ["kind"],
    registry=REGISTRY,
    buckets=tuple(2.0**power for power in range(10, 21)),
)
LEADER = Gauge("kubenas_leader", "1 while this replica holds the lease.", registry=REGISTRY)
EXPERIMENTS = Gauge("kubenas_experiments", "Experiments, by phase.", ["phase"], registry=REGISTRY)
LAG = Histogram(
    "kubenas_event_loop_lag_seconds",
    "How much later than it asked for a task of the event loop got its turn.",
    registry=REGISTRY,
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 5),
)
LONGEST_LAG = Gauge(
    "kubenas_event_loop_longest_lag_seconds", "The longest such lag since the start.", registry=REGISTRY
)
