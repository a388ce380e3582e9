"""How good a candidate is by an experiment's objectives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kubenas.api.objective import Objective
from kubenas.api.trial import Result
from kubenas.search.base import Score


def score(objectives: Sequence[Objective], metrics: Mapping[str, float]) -> Score:
    """(-violation of the limits, primary objective with its sign): greater is better (Deb 2000).

    The violation is the sum over limits of the excess relative to the limit.

    Raises:
        KeyError: an objective's metric is missing.
    """
    primary = objectives[0]
    return (-violation(objectives, metrics), _sign(primary) * metrics[primary.metric])


def violation(objectives: Iterable[Objective], metrics: Mapping[str, float]) -> float:
    """By how much limits are broken, relative to them.

    Raises:
        KeyError: the metric of one with a limit is missing.
    """
    excesses = 0.0
    for objective in objectives:
        if objective.limit is None:
            continue
        excess = _sign(objective) * (objective.limit - metrics[objective.metric])
        excesses += max(0.0, excess) / max(abs(objective.limit), 1e-12)
    return excesses


def stood_for(
    objectives: Sequence[Objective], metrics: Mapping[str, float], other: Score
) -> tuple[Score, tuple[float, ...]]:
    """`score` and `values` of a candidate that was judged by other objectives.

    What it has no metric for is stood for by its primary objective there, and counts as within its limit.

    Args:
        other: its score by the other objectives.
    """
    known = {o.metric: metrics.get(o.metric, _sign(o) * other[1]) for o in objectives}
    broken = violation((o for o in objectives if o.metric in metrics), metrics)
    return (-broken, _sign(objectives[0]) * known[objectives[0].metric]), values(objectives, known)


def best_value(objectives: Sequence[Objective], results: Sequence[Result]) -> float | None:
    """The primary objective's value of the best of `results` that have all objectives; None where none has.

    None, too, where there are no objectives.
    """
    if not objectives:
        return None
    known = [{m.name: m.value for m in result.metrics} for result in results]
    complete = [metrics for metrics in known if all(o.metric in metrics for o in objectives)]
    if not complete:
        return None
    return max(complete, key=lambda metrics: score(objectives, metrics))[objectives[0].metric]


def values(objectives: Sequence[Objective], metrics: Mapping[str, float]) -> tuple[float, ...]:
    """What is to be improved, the primary objective first: with its sign, so that greater is better.

    An objective with a limit need only be kept, unless it is the primary one.

    Raises:
        KeyError: an objective's metric is missing.
    """
    return tuple(_sign(o) * metrics[o.metric] for o in improved(objectives))


def improved(objectives: Sequence[Objective]) -> list[Objective]:
    """The objectives that are traded off: the primary one, and those without a limit."""
    return [o for index, o in enumerate(objectives) if index == 0 or o.limit is None]


def hypervolume(objectives: Sequence[Objective], front: Sequence[tuple[float, ...]]) -> float | None:
    """Hypervolume between a front and the objectives' references; None where one has no reference.

    Args:
        objectives: all of the experiment's.
        front: `values` of each of its members.
    """
    traded = improved(objectives)
    if len(traded) < 2 or any(o.reference is None for o in traded):
        return None
    references = [_sign(o) * (o.reference or 0.0) for o in traded]
    within = [point for point in front if all(v > r for v, r in zip(point, references, strict=True))]
    if not within:
        return 0.0
    # only experiments that trade off objectives need it
    from moocore import hypervolume as volume  # noqa: PLC0415

    return float(volume(within, ref=references, maximise=True))


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
