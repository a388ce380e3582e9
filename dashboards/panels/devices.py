"""What trials' GPUs do, as the NVIDIA DCGM exporter tells it: https://github.com/NVIDIA/dcgm-exporter."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, prometheus, stat, timeseries

from dashboards.queries import (
    EXPERIMENT,
    TRIAL,
    Scope,
    joules,
    joules_per_point,
    of_devices,
    total,
)
from dashboards.style import GREEN, RED, YELLOW, bars, line, lines, number, stacked, steps, value

_WHERE = "From the DCGM exporter, for the pods of trials."


def utilization(scope: Scope) -> timeseries.Panel:
    """Share of time in which a device did anything at all."""
    busy = _mean(scope, "DCGM_FI_DEV_GPU_UTIL")
    panel = lines(
        "GPU utilization",
        f"Share of time in which at least one kernel ran. Low: the trainer waits, often for data. {_WHERE}",
        "percent",
    )
    return panel.min(0).max(100).thresholds(steps(RED, (30, YELLOW), (60, GREEN))).with_target(_line(scope, busy))


def tensor_cores(scope: Scope) -> timeseries.Panel:
    """Share of time in which the tensor cores worked."""
    active = _mean(scope, "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE")
    panel = lines(
        "Tensor cores active",
        "Share of cycles in which the tensor pipe was busy; near zero with large matrices, the trainer does not use "
        f"mixed precision. {_WHERE}",
        "percentunit",
    )
    return panel.min(0).max(1).with_target(_line(scope, active))


def memory(scope: Scope) -> timeseries.Panel:
    """Device memory in use."""
    used = total(of_devices(scope, "DCGM_FI_DEV_FB_USED"), scope.group)
    panel = lines("GPU memory used", f"Framebuffer memory in use. {_WHERE}", "mbytes")
    return panel.min(0).with_target(_line(scope, used))


def power(scope: Scope) -> timeseries.Panel:
    """Power drawn."""
    drawn = total(of_devices(scope, "DCGM_FI_DEV_POWER_USAGE"), scope.group)
    panel = lines("GPU power", f"Power that the devices draw. {_WHERE}", "watt")
    return stacked(panel).with_target(_line(scope, drawn))


def energy(scope: Scope) -> stat.Panel:
    """Energy used in the time shown."""
    panel = number("Energy", f"Energy that the devices used in the time shown. {_WHERE}", "joule")
    return panel.with_target(value(f"{joules(scope)}", "energy"))


def energy_by_trial() -> bargauge.Panel:
    """Energy of an experiment's trials."""
    most = f"topk(10, {joules(EXPERIMENT, 'trial')})"
    panel = bars("Energy by trial", f"The ten trials that used most in the time shown. {_WHERE}", "joule")
    return panel.with_target(value(most, "{{trial}}"))


def energy_per_point(scope: Scope) -> bargauge.Panel:
    """Energy for each point of the chosen metric."""
    panel = bars(
        "Joules per point of $metric",
        "Energy that a trial used in the time shown for each hundredth of the chosen metric that it reached; for "
        f"metrics that are shares, such as accuracy. Fewer is better. {_WHERE}",
        "joule",
    )
    return panel.with_target(value(f"bottomk(10, {joules_per_point(scope)})", "{{trial}}"))


def _mean(scope: Scope, metric: str) -> str:
    return f"avg by ({scope.group}) ({of_devices(scope, metric)})"


def _line(scope: Scope, expression: str) -> prometheus.Dataquery:
    return line(expression, "GPU {{gpu}}" if scope is TRIAL else f"{{{{{scope.group}}}}}")
