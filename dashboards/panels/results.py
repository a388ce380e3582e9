"""What one experiment has found."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table, timeseries, xychart

from dashboards.links import to_trial, to_trial_of_line
from dashboards.queries import (
    CHOSEN_METRIC,
    EXPERIMENT,
    OTHER_METRIC,
    front_values,
    last_reported,
    numbered,
    once,
    top_values,
)
from dashboards.scatter import points, scatter
from dashboards.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    as_limit,
    coloured,
    columns,
    line,
    lines,
    listing,
    rows,
    settings,
    stepped,
    to_numbers,
    transformation,
    value,
)


def best_so_far() -> timeseries.Panel:
    """The best value of the chosen objective over time, beside its target and limit."""
    chosen = (CHOSEN_METRIC,)
    best, target, limit = (
        once(EXPERIMENT.of(f"kubenas_experiment_{name}", *chosen), "metric")
        for name in ("best_value", "objective_target", "objective_limit")
    )
    panel = stepped(
        lines(
            "Best so far: $metric",
            "The chosen objective of the best trial so far, with the objective's target and limit where it has them.",
            "short",
        )
    )
    panel.with_target(line(best, "best")).with_target(line(target, "target", "B")).with_target(
        line(limit, "limit", "C")
    )
    return as_limit(as_limit(coloured(panel, {"best": BLUE}), "target", GREEN), "limit", RED)


def by_trial() -> xychart.Panel:
    """What each trial last reported of the chosen objective, by the trial's number."""
    panel = scatter(
        "$metric by trial",
        "What each trial that ran in the time shown last reported of the chosen objective, by the trial's number: "
        "a search that learns rises (or falls, where the objective is minimized).",
        x={"Number": "trial"},
        y="$metric",
    )
    panel.with_target(rows(numbered(last_reported(EXPERIMENT, CHOSEN_METRIC))))
    panel.with_transformation(to_numbers("number"))
    panel.with_transformation(columns({"number": "Number", "Value": "Trials", "trial": "Trial"}))
    return points(panel, {"Trials": ("Number", BLUE)})


def pareto_front() -> xychart.Panel:
    """The chosen objective against another one: the front, and the best trials by the first objective."""
    panel = scatter(
        "Pareto front: $metric against $against",
        "Candidates that no other one is better than in all objectives, and the best ten trials by the first one. "
        "Empty where the experiment has one objective.",
        x={"Front against": "$against", "Best against": "$against"},
        y="$metric",
    )
    asked = (
        (front_values, OTHER_METRIC),
        (front_values, CHOSEN_METRIC),
        (top_values, OTHER_METRIC),
        (top_values, CHOSEN_METRIC),
    )
    for ref, (values, metric) in zip("ABCD", asked, strict=True):
        panel.with_target(rows(values(EXPERIMENT, metric), ref))
    panel.with_transformation(transformation("merge"))
    names = {
        "Value #A": "Front against",
        "Value #B": "Pareto front",
        "Value #C": "Best against",
        "Value #D": "Best ten",
        "trial": "Trial",
    }
    panel.with_transformation(columns(names, drop=("namespace", "experiment", "candidate")))
    return points(panel, {"Best ten": ("Best against", GREY), "Pareto front": ("Front against", ORANGE)})


def front_over_time() -> timeseries.Panel:
    """Hypervolume and size of the Pareto front."""
    volume, size = (once(EXPERIMENT.of(f"kubenas_experiment_{name}")) for name in ("hypervolume", "front_size"))
    panel = stepped(
        lines(
            "Hypervolume and size of the front",
            "The hypervolume that the Pareto front dominates, in units of its objectives, and how many trials are on "
            "it (right). The hypervolume only grows; while it is flat, the front has not moved.",
            "short",
        )
    )
    return (
        panel.with_target(line(volume, "hypervolume"))
        .with_target(line(size, "trials on the front", "B"))
        .override_by_name(
            "trials on the front", settings({"custom.axisPlacement": "right", "custom.fillOpacity": 0, "decimals": 0})
        )
    )


def learning_curves() -> timeseries.Panel:
    """The chosen objective of each trial while it trains."""
    curves = f"max by (trial) ({EXPERIMENT.of('kubenas_trial_value', CHOSEN_METRIC)})"
    panel = lines(
        "Learning curves: $metric",
        "The chosen objective as trials report it while they train. A line ends with its trial.",
        "short",
        width=16,
    )
    return panel.fill_opacity(0).data_links([to_trial_of_line()]).with_target(line(curves, "{{trial}}"))


def table_of_the_best() -> table.Panel:
    """The best ten trials with all objectives."""
    best = once(EXPERIMENT.of("kubenas_experiment_top_value"), "trial", "rank", "metric")
    panel = listing("The best trials", "The best ten trials by the first objective, with each objective.", width=8)
    panel.with_target(value(best, "{{rank}} {{trial}} {{metric}}"))
    panel.with_transformation(
        transformation("labelsToFields", mode="columns", valueLabel="metric", keepLabels=["rank", "trial", "metric"])
    )
    panel.with_transformation(to_numbers("rank"))
    panel.with_transformation(transformation("sortBy", fields={}, sort=[{"field": "rank", "desc": False}]))
    panel.with_transformation(columns({"rank": "Rank", "trial": "Trial"}))
    return panel.override_by_name("Trial", settings({"links": to_trial()}))
