"""How many trials may run now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubenas.experiment.lifecycle import LOST_SECONDS, retry_at
from kubenas.experiment.state import Attempt, Trial
from kubenas.experiment.wakes import Wakes


@dataclass(frozen=True, slots=True)
class Capacity:
    """What there are slots for.

    Attributes:
        start: trials whose next attempt is due and has a slot.
        free: slots for new trials.
        busy: slots that an attempt holds.
    """

    start: tuple[Trial, ...]
    free: int
    busy: int


def capacity(
    parallelism: int, unfinished: Mapping[int, Trial], attempts: Mapping[str, Attempt], now: float, wakes: Wakes
) -> Capacity:
    """Slots that no attempt holds and no trial waits for.

    Args:
        parallelism: slots in all.
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
    waiting = [trial for _, trial in sorted(unfinished.items()) if trial.attempt_name not in attempts]
    busy = len(leaving) + len(unfinished) - len(waiting)
    free = parallelism - busy
    due = []
    for trial in waiting:
        if retry_at(trial.status) > now:
            wakes.at(retry_at(trial.status))
        elif trial.name not in held:
            due.append(trial)
    # A trial that waits for its retry keeps its slot, or failures would pile up more of them.
    reserved = sum(trial.name not in held for trial in waiting)
    return Capacity(tuple(due[: max(0, free)]), max(0, free - reserved), busy)


def unneeded(unfinished: Mapping[int, Trial], attempts: Mapping[str, Attempt]) -> list[Attempt]:
    """Attempts that no trial needs any more; what has become of them is written down already."""
    current = {trial.attempt_name for trial in unfinished.values()}
    return [attempt for name, attempt in attempts.items() if name not in current]


def _leaving(unfinished: Mapping[int, Trial], attempts: Mapping[str, Attempt], now: float) -> list[Attempt]:
    """Attempts that no trial needs any more, but that still run, on a node that is not lost."""
    return [
        attempt
        for attempt in unneeded(unfinished, attempts)
        if attempt.holds_devices and (attempt.gone_by is None or now < attempt.gone_by + LOST_SECONDS)
    ]
