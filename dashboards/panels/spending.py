"""What one experiment uses and has spent."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, stat, timeseries

from dashboards.queries import EXPERIMENT, RANGE, REPLICAS, once, quantile, total
from dashboards.style import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    YELLOW,
    as_limit,
    bars,
    coloured,
    counted,
    line,
    lines,
    number,
    shaded,
    stacked,
    stepped,
    value,
)

_SPENT = once(EXPERIMENT.of("kubenas_experiment_device_seconds_total"))
_BUDGET = once(EXPERIMENT.of("kubenas_experiment_device_seconds_budget"))
_COST = once(EXPERIMENT.of("kubenas_experiment_cost"), "class")
_COST_BUDGET = once(EXPERIMENT.of("kubenas_experiment_cost_budget"))


def gpu_hours() -> stat.Panel:
    """GPU hours spent."""
    return (
        number(
            "GPU hours so far",
            "Device hours that attempts have used, as budget.gpuHours counts them, and what the budget leaves.",
            "h",
        )
        .with_target(value(f"{_SPENT} / 3600", "spent"))
        .with_target(value(f"({_BUDGET} - {_SPENT}) / 3600", "left", "B"))
    )


def gpu_hours_over_time() -> timeseries.Panel:
    """GPU hours spent over time, beside the budget."""
    panel = lines("GPU hours", "Device hours spent so far, and the budget where there is one (budget.gpuHours).", "h")
    panel.min(0).with_target(line(f"{_SPENT} / 3600", "spent")).with_target(line(f"{_BUDGET} / 3600", "budget", "B"))
    return as_limit(coloured(panel, {"spent": BLUE}), "budget")


def cost_by_class() -> timeseries.Panel:
    """Cost over time by price class, beside the budget."""
    panel = stacked(
        lines(
            "Cost by class",
            "What attempts have cost by budget.prices, by the priceClass of their pods, and budget.cost where it is "
            "set. Empty without prices.",
            "short",
        )
    )
    panel.min(0).with_target(line(_COST, "{{class}}")).with_target(line(_COST_BUDGET, "budget", "B"))
    return as_limit(panel, "budget")


def slots() -> timeseries.Panel:
    """Slots allowed against those that are held, and trials that run and that wait."""
    busy, allowed, queued = (
        once(EXPERIMENT.of(f"kubenas_experiment_slots_{which}")) for which in ("busy", "allowed", "queued")
    )
    trials = total(
        once(EXPERIMENT.of("kubenas_experiment_trials", 'phase=~"Running|Pending"'), "stage", "phase"), "phase"
    )
    panel = lines(
        "Slots busy and allowed",
        "Trials that hold a slot, of those that may run at a time: trials.parallelism, or what trials.autoscale finds "
        "nodes for. Those that wait have a slot and no node or no container yet, or a queue holds them (queueName). "
        "Slots that stay free while the search runs are GPUs that wait: see the conditions ProposalsAvailable, "
        "TrialsAdmitted and TrialsScheduled.",
        "short",
    )
    panel = stepped(counted(panel).fill_opacity(30))
    panel.with_target(line(busy, "busy")).with_target(line(allowed, "allowed", "B"))
    panel.with_target(line(trials, "{{phase}}", "C")).with_target(line(queued, "queued", "D"))
    colours = {"busy": BLUE, "Running": PURPLE, "Pending": ORANGE, "queued": YELLOW}
    return as_limit(coloured(panel, colours), "allowed", GREEN)


def failures() -> timeseries.Panel:
    """Failed attempts by reason, beside how many end the experiment."""
    failed = once(EXPERIMENT.of("kubenas_experiment_failures_total"), "reason")
    most = once(EXPERIMENT.of("kubenas_experiment_failures_max"))
    panel = stacked(
        lines(
            "Failed attempts by reason",
            "Attempts that have failed, by reason, and how many failed trials end the experiment (trials.maxFailures).",
            "short",
        )
    )
    panel.with_target(line(failed, "{{reason}}")).with_target(line(most, "limit", "B"))
    return as_limit(shaded(counted(stepped(panel)), ORANGE), "limit")


def time_by_phase() -> bargauge.Panel:
    """How long attempts have been queued, started and run."""
    seconds = quantile(0.5, REPLICAS.of("kubenas_trial_phase_seconds_bucket"), "phase", over=RANGE)
    return bars(
        "Where a trial's time goes (median)",
        "How long attempts were queued (no node yet), starting (image, container) and running, in the time shown, over "
        "all experiments of the operator.",
        "s",
    ).with_target(value(seconds, "{{phase}}"))
