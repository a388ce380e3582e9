"""Pods that wait for something outside of the search: a node, a claimed device, or a queue."""

from __future__ import annotations

from collections.abc import Iterable

from kubenas.experiment.state import Attempt
from kubenas.experiment.wakes import Wakes


def waiting_for(attempts: Iterable[Attempt], reason: str, seconds: float, now: float, wakes: Wakes) -> list[Attempt]:
    """Those that have waited for one reason for so many seconds; `wakes` is told when it will be so of others."""
    found = []
    for attempt in attempts:
        if attempt.waiting is None or attempt.waiting.reason != reason:
            continue
        due = attempt.waiting.since + seconds
        if due <= now:
            found.append(attempt)
        else:
            wakes.at(due)
    return found
