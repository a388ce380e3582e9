"""How far cheap ways to judge can be relied on in one experiment."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, timeseries

from dashboards.links import to_trial_of_line
from dashboards.queries import EXPERIMENT, once
from dashboards.style import bars, line, lines, settings, stepped, value

_CORRELATION = "kubenas_experiment_ranking_correlation"
_CANDIDATES = "kubenas_experiment_ranking_candidates"
_SIGNALS = 'metric=~"skip_share|alpha_entropy|hessian_eigenvalue|discretization_gap"'
_PEAK = 'metric="peak_memory_mb"'


def proxy_usefulness() -> bargauge.Panel:
    """How each proxy ranks the candidates that were trained."""
    panel = bars(
        "Proxies against training",
        "Kendall's tau of each zero-cost proxy, and of the score that they make together, with the first objective of "
        "the candidates that were trained: 1 is the same order, 0 is chance. A score below FLOPs is worth nothing. "
        "Empty without zero-cost scores.",
        "none",
        width=6,
    )
    ranked = once(EXPERIMENT.of(_CORRELATION, 'method="zero-cost"'), "metric")
    return panel.min(-1).max(1).decimals(2).with_target(value(ranked, "{{metric}}"))


def ranking_reliability() -> timeseries.Panel:
    """How a supernet ranks the candidates that were trained, and how many these are."""
    tau = once(EXPERIMENT.of(_CORRELATION, 'method="supernet"'))
    count = once(EXPERIMENT.of(_CANDIDATES, 'method="supernet"'))
    panel = stepped(
        lines(
            "Supernet against training",
            "Kendall's tau of the first objective by the supernet with the same after training, and over how many "
            "candidates (right): 1 is the same order, 0 is chance; below 0.4 it is no judge. Empty without a supernet.",
            "none",
            width=6,
        )
    )
    return (
        panel.with_target(line(tau, "tau"))
        .with_target(line(count, "candidates", "B"))
        .override_by_name(
            "candidates", settings({"custom.axisPlacement": "right", "custom.fillOpacity": 0, "decimals": 0, "min": 0})
        )
    )


def collapse_signals() -> timeseries.Panel:
    """What shows that a differentiable search collapses."""
    reported = f"max by (trial, metric) ({EXPERIMENT.of('kubenas_trial_value', _SIGNALS)})"
    panel = lines(
        "Signs of collapse",
        "Of differentiable searches while they run: the share of skips, the entropy of the alphas, the largest "
        "eigenvalue of the Hessian, and what discretization costs. A share or an eigenvalue that rises shows a "
        "collapse. Empty without such a search.",
        "short",
        width=6,
    )
    return panel.fill_opacity(0).data_links([to_trial_of_line()]).with_target(line(reported, "{{trial}} {{metric}}"))


def peak_memory() -> timeseries.Panel:
    """The most memory that each trial has used."""
    reported = f"max by (trial) ({EXPERIMENT.of('kubenas_trial_value', _PEAK)})"
    panel = lines(
        "Peak memory",
        "The most memory that each trial has used so far: the device's where it trains on one, else the process'.",
        "decmbytes",
        width=6,
    )
    return panel.fill_opacity(0).data_links([to_trial_of_line()]).with_target(line(reported, "{{trial}}"))
