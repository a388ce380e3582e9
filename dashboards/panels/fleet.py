"""All experiments of the chosen namespaces together."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, stat, table, timeseries

from dashboards.links import to_experiment
from dashboards.queries import ENDED, FLEET, best_of_first_objective, once, total
from dashboards.style import (
    GREEN,
    ORANGE,
    PHASES,
    RED,
    YELLOW,
    as_limit,
    bars,
    coloured,
    columns,
    counted,
    line,
    lines,
    listing,
    named,
    number,
    rows,
    settings,
    stacked,
    stepped,
    steps,
    transformation,
    value,
)

_EXPERIMENTS = total(f"max by (namespace, phase) ({FLEET.of('kubenas_experiments')})", "phase")
_PHASE = once(FLEET.of("kubenas_experiment_phase"), "phase")
_TRIALS = once(FLEET.of("kubenas_experiment_trials"), "stage", "phase")
_BUSY, _ALLOWED = (once(FLEET.of(f"kubenas_experiment_slots_{which}")) for which in ("busy", "allowed"))
_SPENT = once(FLEET.of("kubenas_experiment_device_seconds_total"))
_FAILED = once(FLEET.of("kubenas_experiment_failures_total"), "reason")


def experiments() -> stat.Panel:
    """Experiments by phase now."""
    panel = number("Experiments now", "Experiments by phase now.", "short", width=8)
    return panel.with_target(value(_EXPERIMENTS, "{{phase}}"))


def trials() -> stat.Panel:
    """Trials by phase now."""
    panel = number("Trials", "Trials by phase, of all stages.", "short", width=8)
    return panel.with_target(value(total(_TRIALS, "phase"), "{{phase}}"))


def slots_used() -> stat.Panel:
    """Busy slots as a share of those allowed."""
    panel = number(
        "Slots busy", "Trials that hold a slot, as a share of those that may run at a time.", "percentunit", width=4
    )
    return panel.thresholds(steps(ORANGE, (0.3, YELLOW), (0.7, GREEN))).with_target(
        value(f"{total(_BUSY)} / {total(_ALLOWED)}", "busy")
    )


def gpu_hours() -> stat.Panel:
    """GPU hours of all experiments that are there."""
    panel = number("GPU hours", "Device hours that the experiments which exist have spent so far.", "h", width=4)
    return panel.with_target(value(f"{total(_SPENT)} / 3600", "spent"))


def table_of_experiments() -> table.Panel:
    """A row for each experiment."""
    ended = total(once(FLEET.of("kubenas_experiment_trials", ENDED), "stage", "phase"), "namespace", "experiment")
    most = once(FLEET.of("kubenas_experiment_trials_max"))
    asked = (
        once(FLEET.of("kubenas_experiment_info"), "objective", "algorithm"),
        f"{_PHASE} == 1",
        best_of_first_objective(FLEET),
        f"{ended} / {most}",
        _BUSY,
        f"{_SPENT} / 3600",
        f"1000 * {once(FLEET.of('kubenas_experiment_last_result_timestamp_seconds'))}",
    )
    panel = listing(
        "Experiments",
        "Experiments with their best value of the first objective; a name opens one. Of each namespace the operator "
        "tells of 50: those that go on, and those that have ended last.",
    )
    for ref, query in zip("ABCDEFG", asked, strict=True):
        panel.with_target(rows(query, ref))
    names = {
        "namespace": "Namespace",
        "experiment": "Experiment",
        "phase": "Phase",
        "objective": "Objective",
        "Value #C": "Best",
        "Value #D": "Trials ended",
        "Value #E": "Slots busy",
        "Value #F": "GPU hours",
        "Value #G": "Last result",
        "algorithm": "Strategy",
    }
    panel.with_transformation(transformation("merge"))
    panel.with_transformation(columns(names, drop=("Value #A", "Value #B", "metric")))
    panel.override_by_name("Experiment", settings({"links": to_experiment()}))
    colors = named({phase: (phase, color) for phase, color in PHASES.items()})
    panel.override_by_name("Phase", settings({"mappings": colors, "custom.cellOptions": {"type": "color-text"}}))
    bar = {"type": "gauge", "mode": "basic"}
    panel.override_by_name(
        "Trials ended", settings({"unit": "percentunit", "min": 0, "max": 1, "custom.cellOptions": bar})
    )
    panel.override_by_name("GPU hours", settings({"unit": "h"}))
    return panel.override_by_name("Last result", settings({"unit": "dateTimeFromNow"}))


def experiments_by_phase() -> timeseries.Panel:
    """Experiments by phase over time."""
    panel = stacked(lines("Experiments by phase", "Experiments by phase over time.", "short"))
    return coloured(counted(panel), PHASES).with_target(line(_EXPERIMENTS, "{{phase}}"))


def trials_by_phase() -> timeseries.Panel:
    """Trials by phase over time."""
    panel = stacked(lines("Trials by phase", "Trials of all experiments by phase over time.", "short"))
    return coloured(counted(panel), PHASES).with_target(line(total(_TRIALS, "phase"), "{{phase}}"))


def slots() -> timeseries.Panel:
    """Slots busy by experiment against those allowed."""
    panel = stacked(
        lines(
            "Slots busy and allowed",
            "Trials that hold a slot, by experiment, under the number that may run at a time.",
            "short",
        )
    )
    panel.with_target(line(_BUSY, "{{namespace}}/{{experiment}}")).with_target(line(total(_ALLOWED), "allowed", "B"))
    return as_limit(counted(stepped(panel)), "allowed", GREEN)


def gpu_hours_by_namespace() -> timeseries.Panel:
    """GPU hours by namespace over time."""
    panel = stacked(lines("GPU hours by namespace", "Device hours spent by the experiments which exist.", "h"))
    return panel.with_target(line(f"{total(_SPENT, 'namespace')} / 3600", "{{namespace}}"))


def failures_by_reason() -> bargauge.Panel:
    """Failed attempts by reason."""
    panel = bars("Failed attempts by reason", "Attempts of the experiments which exist that have failed.", "short")
    return panel.thresholds(steps(RED)).with_target(value(total(_FAILED, "reason"), "{{reason}}"))


def attention() -> table.Panel:
    """Conditions that call for somebody."""
    wrong = (
        'condition=~"Accepted|MetricsAvailable|ProposalsAvailable|Reconciled|TrialsScheduled|Generalizes"',
        'status="False"',
    )
    troubled = once(FLEET.of("kubenas_experiment_condition", *wrong), "condition", "reason")
    failed = once(
        FLEET.of("kubenas_experiment_condition", 'condition="Failed"', 'status="True"'), "condition", "reason"
    )
    panel = listing(
        "Conditions that call for attention",
        "Experiments that were refused, cannot be reconciled or scheduled, lack values or proposals, or have failed; "
        "docs/operations.md says what each reason means and what to do.",
        width=16,
    )
    panel.with_target(rows(f"{troubled} or {failed}"))
    names = {"namespace": "Namespace", "experiment": "Experiment", "condition": "Condition", "reason": "Reason"}
    panel.with_transformation(columns(names, drop=("Value",)))
    return panel.override_by_name("Experiment", settings({"links": to_experiment()}))
