"""How the operator itself does."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common as looks

from dashboards.queries import OPERATOR, RANGE, Scope, quantile, rate, rise
from dashboards.style import (
    GREEN,
    GREY,
    ORANGE,
    RED,
    YELLOW,
    as_limit,
    counted,
    line,
    lines,
    named,
    number,
    stacked,
    steps,
    timeline,
    value,
)

MAX_OBJECT_BYTES = 1_572_864  # what etcd takes in one request


def leaders() -> stat.Panel:
    """How many replicas lead."""
    panel = number("Leaders", "Replicas that hold the lease: one. With none, nothing is reconciled.", "short", width=3)
    panel.thresholds(steps(RED, (1, GREEN), (2, RED)))
    return panel.with_target(value(f"sum({OPERATOR.of('kubenas_leader')})", "leaders"))


def version() -> stat.Panel:
    """The versions that run."""
    panel = number("Version", "The operator's versions that run, and how many replicas of each.", "short", width=3)
    panel.text_mode(looks.BigValueTextMode.VALUE_AND_NAME)
    return panel.with_target(value(f"count by (version) ({OPERATOR.of('kubenas_build_info')})", "{{version}}"))


def errors() -> stat.Panel:
    """Reconciles that ended with an error."""
    panel = number("Reconcile errors", "Reconciles that ended with an error in the time shown.", "short", width=4)
    panel.thresholds(steps(GREEN, (1, YELLOW), (10, RED)))
    return panel.with_target(value(rise(OPERATOR.of("kubenas_reconcile_errors_total")), "errors"))


def longest_lag() -> stat.Panel:
    """The longest lag of the event loop."""
    panel = number(
        "Longest event-loop lag",
        "The longest time since the operator's start that a task of its event loop waited for its turn.",
        "s",
        width=4,
    )
    panel.thresholds(steps(GREEN, (0.05, YELLOW), (1, RED)))
    return panel.with_target(value(f"max({OPERATOR.of('kubenas_event_loop_longest_lag_seconds')})", "lag"))


def resident_memory() -> stat.Panel:
    """Memory of the replicas."""
    panel = number("Memory now", "Resident memory of the largest replica.", "bytes", width=4)
    return panel.with_target(value(f"max({OPERATOR.of('process_resident_memory_bytes')})", "memory"))


def slow_reconciles() -> stat.Panel:
    """Reconcile time over the time shown."""
    seconds = quantile(0.99, OPERATOR.of("kubenas_reconcile_seconds_bucket"), over=RANGE)
    panel = number(
        "Reconcile time (99th percentile)", "Time of one reconcile, writes included, in the time shown.", "s", width=6
    )
    panel.thresholds(steps(GREEN, (1, YELLOW), (10, RED)))
    return panel.with_target(value(seconds, "99 %"))


def reconcile_time() -> timeseries.Panel:
    """Reconcile time over time."""
    panel = lines("Reconcile time", "Time of one reconcile of an experiment, writes included.", "s")
    buckets = OPERATOR.of("kubenas_reconcile_seconds_bucket")
    return panel.with_target(line(quantile(0.5, buckets), "50 %")).with_target(
        line(quantile(0.99, buckets), "99 %", "B")
    )


def reconciles() -> timeseries.Panel:
    """Reconciles and errors a second."""
    panel = lines("Reconciles", "Reconciles a second, and those that ended with an error.", "ops")
    panel.with_target(line(rate(OPERATOR.of("kubenas_reconcile_seconds_count")), "reconciles"))
    panel.with_target(line(rate(OPERATOR.of("kubenas_reconcile_errors_total")), "errors", "B"))
    return as_limit(panel, "errors")


def lag() -> timeseries.Panel:
    """Lag of the event loop over time."""
    panel = lines(
        "Event-loop lag",
        "How much later than it asked for a task of the event loop got its turn: where it grows, reconciles, "
        "leases and probes wait.",
        "s",
    )
    panel.thresholds(steps(GREEN, (0.05, YELLOW), (1, RED)))
    buckets = OPERATOR.of("kubenas_event_loop_lag_seconds_bucket")
    return panel.with_target(line(quantile(0.99, buckets), "99 %"))


def requests() -> timeseries.Panel:
    """Requests to the apiserver by verb and code."""
    panel = stacked(
        lines("API requests", "Requests to the apiserver by verb and answer; code 0 is no answer.", "reqps", width=12)
    )
    return panel.with_target(line(rate(OPERATOR.of("kubenas_api_requests_total"), "verb", "code"), "{{verb}} {{code}}"))


def refused_requests() -> timeseries.Panel:
    """The share of requests that failed."""
    all_of_them = rate(OPERATOR.of("kubenas_api_requests_total"))
    failed = rate(OPERATOR.of("kubenas_api_requests_total", 'code=~"0|429|5.."'))
    panel = lines(
        "API requests that failed",
        "Share of requests that got no answer, too many requests (429) or a server's error (5xx).",
        "percentunit",
        width=12,
    )
    panel.min(0).axis_soft_max(0.1).thresholds(steps(GREEN, (0.01, YELLOW), (0.1, RED)))
    return panel.with_target(line(f"({failed} or 0 * {all_of_them}) / {all_of_them}", "failed"))


def proposals() -> timeseries.Panel:
    """Candidates proposed by strategy."""
    panel = stacked(lines("Proposals", "Candidates that strategies have proposed, a minute.", "cpm"))
    return panel.with_target(line(f"60 * {rate(OPERATOR.of('kubenas_proposals_total'), 'strategy')}", "{{strategy}}"))


def proposal_time(scope: Scope) -> timeseries.Panel:
    """Time of a proposal by strategy."""
    seconds = quantile(0.9, scope.of("kubenas_proposal_seconds_bucket"), "strategy", over="5m")
    panel = lines(
        "Time of a proposal (90th percentile)",
        "How long strategies took to propose the next candidates in the last five minutes, over all experiments of the "
        "operator. Slots wait for it.",
        "s",
    )
    return panel.thresholds(steps(GREEN, (10, YELLOW), (60, RED))).with_target(line(seconds, "{{strategy}}"))


def queue_time() -> timeseries.Panel:
    """How long attempts wait for a node."""
    seconds = quantile(0.9, OPERATOR.of("kubenas_trial_phase_seconds_bucket"), "phase", over="5m")
    panel = lines(
        "Trial time by phase (90th percentile)",
        "How long attempts were queued (no node yet), starting (image, container) and running.",
        "s",
    )
    return panel.with_target(line(seconds, "{{phase}}"))


def readings() -> timeseries.Panel:
    """Readings of trials' values by outcome."""
    panel = stacked(lines("Metric readings", "Readings of trials' values by outcome, a second.", "ops"))
    return panel.with_target(line(rate(OPERATOR.of("kubenas_metric_reads_total"), "outcome"), "{{outcome}}"))


def unreadable() -> timeseries.Panel:
    """Objects left out."""
    panel = lines(
        "Unreadable objects",
        "Versions of objects that could not be read and were left out since the operator's start, by kind; the "
        "experiment's condition Reconciled names them.",
        "short",
    )
    counted(panel).thresholds(steps(GREEN, (1, ORANGE)))
    return panel.with_target(line(f"sum by (kind) ({OPERATOR.of('kubenas_unreadable_objects_total')})", "{{kind}}"))


def object_size() -> timeseries.Panel:
    """Sizes of written objects."""
    seconds = quantile(0.99, OPERATOR.of("kubenas_object_bytes_bucket"), "kind", over="5m")
    panel = lines(
        "Size of written objects (99th percentile)",
        "Bytes of objects as the apiserver returned them; etcd takes 1.5 MiB at most.",
        "bytes",
    )
    panel.thresholds(steps(GREEN, (MAX_OBJECT_BYTES / 2, YELLOW), (MAX_OBJECT_BYTES, RED)))
    return panel.with_target(line(seconds, "{{kind}}"))


def leader_over_time() -> statetimeline.Panel:
    """Which replica leads."""
    panel = timeline("Leader", "Which replica holds the lease over time.", width=8)
    panel.mappings(named({"1": ("leads", GREEN), "0": ("stands by", GREY)}))
    return panel.with_target(line(f"max by (instance) ({OPERATOR.of('kubenas_leader')})", "{{instance}}"))


def memory_over_time() -> timeseries.Panel:
    """Memory by replica."""
    panel = lines("Memory", "Resident memory by replica.", "bytes").min(0)
    used = f"max by (instance) ({OPERATOR.of('process_resident_memory_bytes')})"
    return panel.with_target(line(used, "{{instance}}"))


def cpu() -> timeseries.Panel:
    """CPU by replica."""
    panel = lines("CPU", "Cores that each replica uses.", "short").min(0)
    return panel.with_target(line(rate(OPERATOR.of("process_cpu_seconds_total"), "instance"), "{{instance}}"))
