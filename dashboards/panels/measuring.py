"""What devices measure."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries

from dashboards.queries import EXPERIMENT, once
from dashboards.style import counted, line, lines, stacked, stepped

_ENDED = "kubenas_experiment_measurements_total"


def queues() -> timeseries.Panel:
    """Measurements that run, and that wait for their device."""
    waiting, running = (
        once(EXPERIMENT.of("kubenas_experiment_measurements_open", f'state="{state}"'), "metric")
        for state in ("waiting", "running")
    )
    panel = lines(
        "Queues of devices",
        "Measurements that run on devices, and that wait for one, by objective. A queue grows where the device is "
        "slower than the trials, or away: see the condition DevicesAvailable. Empty without `measuredOn`.",
        "short",
    )
    panel = stacked(counted(stepped(panel)))
    return panel.with_target(line(waiting, "{{metric}} waiting")).with_target(line(running, "{{metric}} running", "B"))


def outcomes() -> timeseries.Panel:
    """What became of measurements."""
    panel = lines(
        "Measurements by outcome",
        "Measurements with a value and those that were given up, as the device was away for measuredOn.maxWait or the "
        "last retry has failed; and attempts that failed. Empty without `measuredOn`.",
        "short",
    )
    ended = once(EXPERIMENT.of(_ENDED), "metric", "outcome")
    return counted(stepped(panel)).with_target(line(ended, "{{metric}} {{outcome}}"))


def seconds() -> timeseries.Panel:
    """How long a measurement takes."""
    taken = once(EXPERIMENT.of("kubenas_experiment_measurement_seconds_total"), "metric")
    measured = once(EXPERIMENT.of(_ENDED, 'outcome="measured"'), "metric")
    panel = lines(
        "Time of a measurement (mean)",
        "How long pods have run for each measurement with a value, failed attempts included, over all so far; not how "
        "long they have waited. Empty without `measuredOn`.",
        "s",
    )
    return panel.min(0).with_target(line(f"{taken} / {measured}", "{{metric}}"))
