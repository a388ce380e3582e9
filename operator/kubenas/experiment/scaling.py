"""How many slots there are: `trials.parallelism`, or what `trials.autoscale` makes of the nodes that there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubenas.api.experiment import Trials
from kubenas.experiment.state import Attempt, AttemptPhase
from kubenas.experiment.waiting import waiting_for
from kubenas.experiment.wakes import Wakes

# A pod that no node has taken for so long waits for one that is not to be had: cloud nodes with GPUs take minutes.
NO_NODE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Scale:
    """What may run.

    Attributes:
        slots: attempts that may exist.
        pending: attempts that may be made now, as far as pods without a node count.
        most: attempts that may exist, whatever the cluster has.
        without_nodes: pods for which no node is to be had.
    """

    slots: int
    pending: int
    most: int
    without_nodes: int = 0


def slots(trials: Trials, active: Sequence[Attempt], leaving: Sequence[Attempt], now: float, wakes: Wakes) -> Scale:
    """How many attempts there may be.

    With `autoscale` there are `maxPending` more than have got a node, so that what waits tells a cluster autoscaler
    that more is wanted. While no node is to be had, there are as many as have one; what waits goes on waiting.

    Args:
        trials: `parallelism` or `autoscale`.
        active: attempts of unfinished trials.
        leaving: attempts that no trial needs any more, but that still hold devices.
        now: seconds since the epoch.
        wakes: is told when a pod will have waited for too long.
    """
    scale = trials.autoscale
    if scale is None or trials.parallelism == 0:
        return Scale(trials.parallelism, trials.parallelism, trials.parallelism)
    pending = [attempt for attempt in active if _is_pending(attempt)]
    waiting = len(pending) + sum(map(_is_pending, leaving))
    placed = len(active) + len(leaving) - waiting
    without = len(waiting_for(pending, "Unschedulable", NO_NODE_SECONDS, now, wakes))
    wanted = placed if without else placed + scale.max_pending
    target = min(max(wanted, scale.min), scale.max)
    return Scale(target, max(0, scale.max_pending - waiting), scale.max, without)


def _is_pending(attempt: Attempt) -> bool:
    return attempt.phase is AttemptPhase.WAITING and attempt.scheduled is None
