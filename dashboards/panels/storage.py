"""What becomes of an experiment's checkpoints."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries

from dashboards.queries import EXPERIMENT, rate, total
from dashboards.style import BLUE, GREEN, RED, coloured, counted, line, lines, stacked


def checkpoints() -> timeseries.Panel:
    """Checkpoints by what became of them."""
    selector = EXPERIMENT.of("kubenas_trial_checkpoints_total")
    panel = lines(
        "Checkpoints a second",
        "Checkpoints that trials have written, could not write, or have read, as the next attempt of a trial does "
        "whose pod was taken away.",
        "short",
        width=16,
    )
    panel = stacked(panel).with_target(line(rate(selector, "outcome"), "{{outcome}}"))
    return coloured(panel, {"written": GREEN, "read": BLUE, "failed": RED})


def unreachable() -> timeseries.Panel:
    """Trials that wait for their storage."""
    waiting = total(EXPERIMENT.of("kubenas_trial_storage_unreachable"))
    panel = lines(
        "Trials that wait for storage",
        "Trials whose bucket cannot be reached; each waits for three minutes at most, and learns nothing meanwhile.",
        "short",
    )
    return coloured(counted(panel).with_target(line(waiting, "waiting")), {"waiting": RED})
