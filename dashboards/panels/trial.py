"""One trial: what it reports, and where its log is."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, text, timeseries, xychart
from grafana_foundation_sdk.models import common as looks

from dashboards.queries import CHOSEN_METRIC, RANGE, TRIAL, once
from dashboards.scatter import points, scatter
from dashboards.style import BLUE, line, lines, number, prose, transformation, value

_VALUE = f"max by (trial) ({TRIAL.of('kubenas_trial_value', CHOSEN_METRIC)})"
_STEP = f"max by (trial) ({TRIAL.of('kubenas_trial_step')})"


def last_value() -> stat.Panel:
    """What the trial last reported."""
    last = f"max by (metric) (last_over_time({TRIAL.of('kubenas_trial_value', CHOSEN_METRIC, window=RANGE)}))"
    panel = number("Last value", "What the trial last reported of the chosen metric.", "short")
    return panel.with_target(value(last, "{{metric}}"))


def last_step() -> stat.Panel:
    """How far the trial came."""
    last = f"max(last_over_time({TRIAL.of('kubenas_trial_step', window=RANGE)}))"
    panel = number("Last step", "The step, usually an epoch, of the last report.", "short")
    return panel.with_target(value(last, "step"))


def rank() -> stat.Panel:
    """Its place among the best."""
    ranked = once(TRIAL.of("kubenas_experiment_top_value"), "rank")
    panel = number("Rank", "The trial's rank among the best ten; empty where it is not one of them.", "none")
    return panel.text_mode(looks.BigValueTextMode.NAME).with_target(value(ranked, "{{rank}}"))


def curve_by_step() -> xychart.Panel:
    """The learning curve by step."""
    panel = scatter(
        "Learning curve: $metric by step",
        "The chosen metric by step, as it was scraped while the trial ran; of several candidates the largest value.",
        x={"Step": "step"},
        y="$metric",
    )
    panel.span(12).with_target(line(_STEP, "Step")).with_target(line(_VALUE, "Value", "B"))
    panel.with_transformation(transformation("joinByField", byField="Time", mode="inner"))
    return points(panel, {"Value": ("Step", BLUE)})


def curve_over_time() -> timeseries.Panel:
    """The learning curve over time, with attempts apart."""
    curve = f"max by (pod, candidate) ({TRIAL.of('kubenas_trial_value', CHOSEN_METRIC)})"
    panel = lines(
        "Learning curve: $metric over time",
        "The chosen metric over time, a line for each attempt (its pod) and candidate.",
        "short",
        width=12,
    )
    return panel.fill_opacity(0).with_target(line(curve, "{{pod}}, candidate {{candidate}}"))


def log() -> text.Panel:
    """Where the trial's log is."""
    return prose(
        "Logs",
        "How to read the log of the trial's pods.",
        "[Open the log in Loki](/explore?schemaVersion=1&panes=%7B%22log%22:%7B%22datasource%22:%22${logs}%22,"
        "%22queries%22:%5B%7B%22refId%22:%22A%22,%22datasource%22:%7B%22type%22:%22loki%22,%22uid%22:%22${logs}%22%7D,"
        "%22expr%22:%22%7Bnamespace%3D%5C%22${namespace}%5C%22,pod%3D~%5C%22${trial}-%5B0-9%5D%2B%5C%22%7D%22%7D%5D,"
        "%22range%22:%7B%22from%22:%22${__from}%22,%22to%22:%22${__to}%22%7D%7D%7D)"
        ", where the data source *Loki* above has the pods' logs. Otherwise, while the pod is there:\n\n"
        "```\nkubectl logs --namespace=${namespace} --selector=kubenas.io/trial=${trial} --tail=-1\n```",
        width=16,
        height=8,
    )
