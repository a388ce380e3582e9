"""How far one experiment has come."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as looks

from dashboards.queries import ENDED, EXPERIMENT, condition_states, once, total
from dashboards.style import (
    BLUE,
    GREEN,
    GREY,
    PHASES,
    PURPLE,
    RED,
    YELLOW,
    coloured,
    columns,
    counted,
    line,
    lines,
    listing,
    named,
    number,
    rows,
    stacked,
    steps,
    timeline,
    value,
)


def phase() -> stat.Panel:
    """The experiment's phase, as a word."""
    current = f"{once(EXPERIMENT.of('kubenas_experiment_phase'), 'phase')} == 1"
    return (
        number("Phase", "Running, Suspended, Succeeded, Failed or Rejected; the conditions below say why.", "none")
        .text_mode(looks.BigValueTextMode.NAME)
        .with_target(value(current, "{{phase}}"))
    )


def ended_trials() -> stat.Panel:
    """Trials that have ended, as a share of those the experiment may have."""
    ended = total(once(EXPERIMENT.of("kubenas_experiment_trials", ENDED), "stage", "phase"))
    most = total(once(EXPERIMENT.of("kubenas_experiment_trials_max")))
    return (
        number("Trials ended", "Trials that have ended, and how many the experiment may have (trials.max).", "short")
        .with_target(value(ended, "ended"))
        .with_target(value(most, "of at most", "B"))
    )


def best_values() -> stat.Panel:
    """The best trial's value of each objective."""
    return number(
        "Best trial",
        "Each objective of the best trial: within every limit, by the first objective.",
        "short",
        width=6,
    ).with_target(value(once(EXPERIMENT.of("kubenas_experiment_best_value"), "metric"), "{{metric}}"))


def duration() -> stat.Panel:
    """Time since the experiment was created, until its end."""
    created = once(EXPERIMENT.of("kubenas_experiment_created_timestamp_seconds"))
    ended = once(EXPERIMENT.of("kubenas_experiment_ended_timestamp_seconds"))
    return number(
        "Duration", "Time since the experiment was created; of one that has ended, until its end.", "s", width=3
    ).with_target(value(f"({ended} or 0 * {created} + time()) - {created}", "duration"))


def since_last_result() -> stat.Panel:
    """Time since a trial last ended."""
    last = once(EXPERIMENT.of("kubenas_experiment_last_result_timestamp_seconds"))
    return (
        number(
            "Since the last result", "Time since a trial ended; of a search that runs, a sign of life.", "s", width=3
        )
        .thresholds(steps(GREEN, (3600, YELLOW), (6 * 3600, RED)))
        .with_target(value(f"time() - {last}", "since"))
    )


def trials_by_phase() -> timeseries.Panel:
    """Trials by phase over time."""
    trials = total(once(EXPERIMENT.of("kubenas_experiment_trials"), "stage", "phase"), "phase")
    panel = lines("Trials by phase", "How many trials wait, run, wait for devices (Measuring) and have ended.", "short")
    return coloured(counted(stacked(panel)), PHASES).with_target(line(trials, "{{phase}}"))


def conditions() -> statetimeline.Panel:
    """Each condition's status over time."""
    status = {"1": ("True", BLUE), "0": ("False", GREY), "-1": ("Unknown", PURPLE)}
    return (
        timeline(
            "Conditions",
            "The experiment's conditions over time. Accepted, DevicesAvailable, MetricsAvailable, ProposalsAvailable, "
            "Reconciled, TrialsAdmitted, TrialsScheduled are True while all is well; Failed and Suspended are False.",
            width=14,
        )
        .mappings(named(status))
        .with_target(line(condition_states(EXPERIMENT), "{{condition}}"))
    )


def reasons() -> table.Panel:
    """Each condition's status and reason now."""
    names = {"condition": "Condition", "status": "Status", "reason": "Reason"}
    labels = ("condition", "status", "reason")
    return (
        listing(
            "Conditions now",
            "Status and reason of each condition; docs/operations.md says what each reason means and what to do.",
            width=10,
        )
        .with_target(rows(once(EXPERIMENT.of("kubenas_experiment_condition"), *labels)))
        .with_transformation(columns(names, drop=("namespace", "experiment", "Value")))
    )
