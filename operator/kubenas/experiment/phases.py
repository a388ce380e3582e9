"""How long an attempt was in each phase of its life."""

from __future__ import annotations

from typing import Final

from kubenas.experiment.state import Attempt

# Until a node has taken its pod, until its trainer runs, until its trainer has ended.
ATTEMPT_PHASES: Final = ("queued", "starting", "running")


def phases_ended(before: Attempt | None, after: Attempt) -> list[tuple[str, float]]:
    """The phases that ended between two states of an attempt, with their lengths in seconds.

    Args:
        before: None where it was not known before: another process may have observed what ended by then.
    """
    if before is None or before.uid != after.uid:
        return []
    known = _lengths(before)
    return [(phase, seconds) for phase, seconds in _lengths(after).items() if phase not in known]


def _lengths(attempt: Attempt) -> dict[str, float]:
    times = (attempt.created, attempt.scheduled, attempt.started, attempt.ended)
    spans = zip(ATTEMPT_PHASES, times[:-1], times[1:], strict=True)
    # Of several machines' clocks.
    return {phase: max(0.0, end - begin) for phase, begin, end in spans if begin is not None and end is not None}
