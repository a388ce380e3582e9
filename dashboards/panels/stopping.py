"""What early stopping compares, and how many come how far."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, timeseries

from dashboards.queries import CHOSEN_METRIC, EXPERIMENT, RANGE
from dashboards.style import bars, line, lines, value

_RUNG = "kubenas_trial_rung"
_EACH = "trial, candidate, step"


def candidates_at_rungs() -> bargauge.Panel:
    """How many candidates have come to each rung."""
    seen = f"max by ({_EACH}) (last_over_time({EXPERIMENT.of(_RUNG, CHOSEN_METRIC, window=RANGE)}))"
    panel = bars(
        "Candidates at rungs",
        "How many candidates have come to each rung, by its epochs, in the time that is shown; *paused*: how many wait "
        "there to be promoted. Where none is stopped early, each rung has as many as the one before. Empty without "
        "`fidelity`.",
        "none",
        width=12,
    )
    paused = f"max by (rung) ({EXPERIMENT.of('kubenas_experiment_paused')})"
    return (
        panel.min(0)
        .decimals(0)
        .with_target(value(f"count by (step) ({seen})", "{{step}} epochs"))
        .with_target(value(paused, "{{rung}} epochs: paused", ref="B"))
    )


def median_at_rungs() -> timeseries.Panel:
    """What trials that run had come to at each rung."""
    of_each = f"max by ({_EACH}) ({EXPERIMENT.of(_RUNG, CHOSEN_METRIC)})"
    panel = lines(
        "Median at rungs",
        "The median of what the trials that run had come to at each rung. It gets better where the search proposes "
        "better candidates, as a rung is always as many epochs. Empty without `fidelity`.",
        "short",
        width=12,
    )
    return panel.fill_opacity(0).with_target(line(f"quantile by (step) (0.5, {of_each})", "{{step}} epochs"))
