"""Times by one clock: those of a pod's containers are by its node's, which may be ahead or behind."""

from __future__ import annotations

from dataclasses import replace

from kubenas.experiment.state import Attempt


def by_own_clock(before: Attempt | None, after: Attempt, now: float) -> Attempt:
    """An attempt with its start and its end by the clock of whoever observes it, as far as that can be told.

    A trainer has not started before its pod was made, and what is known of it has happened by now. Without that, an
    hour by which a node is behind would be spent, and be a time-out, when a trial begins.

    Args:
        before: what was known of it.
        after: what its pod shows now.
        now: seconds since the epoch.
    """
    if after.started is None and after.ended is None:
        return after
    clock = _ahead(before if before is not None and before.uid == after.uid else None, after, now)
    return replace(
        after,
        clock=clock,
        started=None if after.started is None else after.started - clock,
        ended=None if after.ended is None else after.ended - clock,
    )


def _ahead(before: Attempt | None, after: Attempt, now: float) -> float:
    """By how much the node's clock is ahead at least; negative where it is behind."""
    known = before.clock if before is not None else 0.0
    if before is not None and before.ended is not None:
        return known
    if known <= 0 and after.started is not None:
        known = min(known, after.started - after.created)
    latest = after.ended if after.ended is not None else after.started
    return known if latest is None else max(known, latest - now)
