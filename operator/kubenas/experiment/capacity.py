"""How many trials may run now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubenas.api.experiment import Trials
from kubenas.experiment.lifecycle import LOST_SECONDS
from kubenas.experiment.scaling import slots
from kubenas.experiment.state import Attempt, Trial
from kubenas.experiment.statuses import retry_at
from kubenas.experiment.wakes import Wakes


@dataclass(frozen=True, slots=True)
class Capacity:
    """What there are slots for.

    Attributes:
        start: trials whose next attempt is due and has a slot.
        free: slots for new trials.
        busy: slots that an attempt holds.
        slots: slots in all.
        surplus: trials with an attempt that have no slot any more, the newest of them; empty where they may finish.
        without_nodes: pods for which no node is to be had, where trials follow the cluster.
    """

    start: tuple[Trial, ...]
    free: int
    busy: int
    slots: int
    surplus: tuple[Trial, ...]
    without_nodes: int


def capacity(
    trials: Trials, unfinished: Mapping[int, Trial], attempts: Mapping[str, Attempt], now: float, wakes: Wakes
) -> Capacity:
    """Slots that no attempt holds and no trial waits for.

    Args:
        trials: how many may run.
        unfinished: trials by number.
        attempts: by name; those that exist now.
        now: seconds since the epoch.
        wakes: is told when a slot or a retry comes due.
    """
    leaving = _leaving(unfinished, attempts, now)
    for attempt in leaving:
        wakes.at(attempt.gone_by and attempt.gone_by + LOST_SECONDS)
    # The attempts of a trial share its checkpoints: one at a time.
    held = {attempt.trial for attempt in leaving}
    # Devices have queues of their own.
    in_order = [trial for _, trial in sorted(unfinished.items()) if not trial.measuring]
    active = [trial for trial in in_order if trial.attempt_name in attempts]
    waiting = [trial for trial in in_order if trial.attempt_name not in attempts]
    scale = slots(trials, [attempts[trial.attempt_name] for trial in active], leaving, now, wakes)
    busy = len(leaving) + len(active)
    free = min(scale.slots - busy, scale.pending)
    due = []
    for trial in waiting:
        if retry_at(trial.status) > now:
            wakes.at(retry_at(trial.status))
        elif trial.name not in held and trial.status.pod is None:
            # One whose pod was there and is gone waits until it is written that another attempt follows.
            due.append(trial)
    # A trial that waits for its retry keeps its slot, or failures would pile up more of them.
    reserved = sum(trial.name not in held for trial in waiting)
    return Capacity(
        start=tuple(due[: max(0, free)]),
        free=max(0, free - reserved),
        busy=busy,
        slots=scale.slots,
        surplus=tuple(active[scale.most :]) if trials.scale_down == "Pause" else (),
        without_nodes=scale.without_nodes,
    )


def unneeded(unfinished: Mapping[int, Trial], attempts: Mapping[str, Attempt]) -> list[Attempt]:
    """Attempts that no trial needs any more; what has become of them is written down already."""
    current = {trial.attempt_name for trial in unfinished.values() if not trial.measuring}
    return [attempt for name, attempt in attempts.items() if name not in current]


def _leaving(unfinished: Mapping[int, Trial], attempts: Mapping[str, Attempt], now: float) -> list[Attempt]:
    """Attempts that no trial needs any more, but that still run, on a node that is not lost."""
    return [
        attempt
        for attempt in unneeded(unfinished, attempts)
        if attempt.holds_devices and (attempt.gone_by is None or now < attempt.gone_by + LOST_SECONDS)
    ]
