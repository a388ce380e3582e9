"""Judged candidates: what their trainings came to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

from kubenas.api.objective import Objective
from kubenas.api.trial import Source
from kubenas.experiment.objectives import feasible, improved, score, stood_for, values, violation
from kubenas.fidelity.base import RungCurve, Value
from kubenas.search.base import Observation, Score
from kubenas.space.base import Architecture


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate that was evaluated; no score where it has no values.

    Attributes:
        trial: number of its trial; of several, of the first with a result.
        metrics: means over its trainings.
        values: what is to be improved; empty where there is no score.
        trainings: metrics of each training with a result, where there were several.
        rung: where it was stopped early, the highest rung that it was seen at, in epochs, and what it had come to
            there. Its strategy sees that; nothing else counts it as a result.
        curve: what it had come to at rungs, for the strategy; empty where it has failed.
        unmeasured: where only limits are not known of it, as no device has measured them: what it comes to if it keeps
            them. Its strategy sees that; nothing else counts it as a result.
    """

    trial: int
    candidate: str
    architecture: Architecture
    metrics: Mapping[str, float]
    score: Score | None
    source: Source | None = None
    values: tuple[float, ...] = ()
    trainings: tuple[Mapping[str, float], ...] = ()
    rung: tuple[int, Value] | None = None
    curve: RungCurve = field(default_factory=dict)
    unmeasured: Value | None = None

    @property
    def rank(self) -> tuple[Score, int, int]:
        """The greater the better, the earliest proposed of equal ones first; only for those with a score."""
        assert self.score is not None  # noqa: S101 - callers ask only for those with a score
        return (self.score, -self.trial, -int(self.candidate))

    @property
    def feasible(self) -> bool:
        """Whether there is a score within every limit."""
        return self.score is not None and feasible(self.score)

    @property
    def observation(self) -> Observation:
        """What a strategy sees of it."""
        if self.rung is not None:
            epochs, there = self.rung
            return Observation(self.architecture, there.score, there.values, self.metrics, epochs, self.curve)
        if self.unmeasured is not None:
            return Observation(self.architecture, self.unmeasured.score, self.unmeasured.values, self.metrics)
        return Observation(self.architecture, self.score, self.values, self.metrics, rungs=self.curve)

    def judged_before(self, objectives: Sequence[Objective]) -> Observation:
        """What the strategy of a later stage, with objectives of its own, sees of one with a score."""
        assert self.score is not None  # noqa: S101 - callers ask only for those with a score
        return Observation(self.architecture, *stood_for(objectives, self.metrics, self.score), self.metrics)

    def spread(self, metric: str) -> float | None:
        """Standard deviation of a metric over the trainings; None where fewer than two have it."""
        known = self.measured(metric)
        return stdev(known) if len(known) > 1 else None

    def measured(self, metric: str) -> list[float]:
        """A metric's value in each of several trainings that have it."""
        return [training[metric] for training in self.trainings if metric in training]


def judged(
    objectives: Sequence[Objective],
    trial: int,
    candidate: str,
    architecture: Architecture,
    metrics: Mapping[str, float],
    source: Source | None,
    *,
    whole: bool,
    curve: RungCurve | None = None,
) -> Judged:
    """A candidate by the metrics of one training.

    Args:
        whole: whether it has come to its end; values of others are not compared.
        curve: its values at rungs; not shown to a strategy where they lack what a device measures and is traded off.
    """
    if any(one.measured_on is not None for one in improved(objectives)):
        curve = None
    found = Judged(trial, candidate, architecture, metrics, None, source, curve=curve or {})
    if not (whole and objectives and all(o.metric in metrics for o in objectives)):
        rung = (max(curve), curve[max(curve)]) if curve and not whole else None
        return replace(found, rung=rung, unmeasured=_unmeasured(objectives, metrics) if whole else None)
    return replace(found, score=score(objectives, metrics), values=values(objectives, metrics))


def _unmeasured(objectives: Sequence[Objective], metrics: Mapping[str, float]) -> Value | None:
    """What a candidate comes to if it keeps the limits that no device has measured; None where more is not known."""
    missing = [one for one in objectives if one.metric not in metrics]
    if not missing or any(one.measured_on is None or one in improved(objectives) for one in missing):
        return None
    broken = violation((one for one in objectives if one.metric in metrics), metrics)
    own = values(objectives, metrics)
    return Value((-broken, own[0]), own)


def averaged(objectives: Sequence[Objective], trainings: Sequence[Judged]) -> Judged:
    """One candidate by several trainings: by the means over those with a score, or the first if none has one."""
    scored = [one for one in trainings if one.score is not None]
    if not scored:
        return trainings[0]
    names = set.intersection(*(set(one.metrics) for one in scored))
    metrics = {name: fmean(one.metrics[name] for one in scored) for name in sorted(names)}
    return replace(
        scored[0],
        metrics=metrics,
        score=score(objectives, metrics),
        values=values(objectives, metrics),
        trainings=tuple(one.metrics for one in scored),
    )


def ranked(candidates: Iterable[Judged]) -> list[Judged]:
    """Those with a score, the best first."""
    return sorted((one for one in candidates if one.score is not None), key=lambda one: one.rank, reverse=True)


def distinct(candidates: Iterable[Judged], most: float = math.inf) -> list[Judged]:
    """Each architecture once, as it comes first; at most so many."""
    found: dict[Architecture, Judged] = {}
    for one in candidates:
        if len(found) >= most:
            break
        found.setdefault(one.architecture, one)
    return list(found.values())


def spread_evenly(candidates: Sequence[Judged], most: int) -> list[Judged]:
    """All of them, or of many as many as asked for, evenly from the first to the last."""
    if len(candidates) <= most:
        return list(candidates)
    if most == 1:
        return [candidates[0]]
    return [candidates[round(index * (len(candidates) - 1) / (most - 1))] for index in range(most)]
