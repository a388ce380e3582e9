"""How good a candidate is by an experiment's objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubenas.api.experiment import Objective
from kubenas.search.base import Score


def score(objectives: Sequence[Objective], metrics: Mapping[str, float]) -> Score:
    """(-violation of the limits, primary objective with its sign): greater is better (Deb 2000).

    The violation is the sum over limits of the excess relative to the limit.

    Raises:
        KeyError: an objective's metric is missing.
    """
    violation = 0.0
    for objective in objectives:
        if objective.limit is None:
            continue
        excess = _sign(objective) * (objective.limit - metrics[objective.metric])
        violation += max(0.0, excess) / max(abs(objective.limit), 1e-12)
    primary = objectives[0]
    return (-violation, _sign(primary) * metrics[primary.metric])


def feasible(value: Score) -> bool:
    """Whether every limit is kept."""
    return value[0] == 0.0


def reached(objectives: Sequence[Objective], metrics: Mapping[str, float]) -> bool:
    """Whether there are targets, and this candidate reaches all of them within every limit."""
    targets = [o for o in objectives if o.target is not None]
    return (
        bool(targets)
        and feasible(score(objectives, metrics))
        and all(_sign(o) * (metrics[o.metric] - (o.target or 0.0)) >= 0 for o in targets)
    )


def _sign(objective: Objective) -> int:
    return 1 if objective.goal == "maximize" else -1
