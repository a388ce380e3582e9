"""The metric `score` of training-free scores: it puts a stage's candidates in order, and depends on all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kubenas.api.evaluation import Combination as Way
from kubenas.api.metric_names import SCORE
from kubenas.experiment.judged import Judged
from kubenas.experiment.objectives import score, values

if TYPE_CHECKING:
    from kubenas.api.objective import Objective
    from kubenas.search.base import Observation


@dataclass(frozen=True, slots=True)
class Combination:
    """How a stage's training-free scores make one.

    Attributes:
        objectives: the stage's.
        columns: metrics that are combined.
        way: how.
    """

    objectives: tuple[Objective, ...]
    columns: tuple[str, ...]
    way: Way

    def begun(self, metrics: Mapping[str, float]) -> Mapping[str, float]:
        """A candidate's metrics with a `score` that holds its place; unchanged where there is nothing to combine."""
        return {**metrics, SCORE: 0.0} if any(column in metrics for column in self.columns) else metrics

    def candidates(self, candidates: Sequence[Judged]) -> list[Judged]:
        """The candidates with the scores that they have among each other; those without any stay as they are."""
        scored = [one for one in candidates if one.score is not None]
        among = iter(self._among([one.metrics for one in scored]))
        return [one if one.score is None else self._judged(one, next(among)) for one in candidates]

    def observations(self, observations: Sequence[Observation]) -> list[Observation]:
        """As `candidates`, as a strategy sees them; all have a score."""
        among = self._among([one.metrics for one in observations])
        return [
            replace(one, score=score(self.objectives, found), values=values(self.objectives, found), metrics=found)
            for one, found in zip(observations, among, strict=True)
        ]

    def _judged(self, one: Judged, metrics: Mapping[str, float]) -> Judged:
        found = score(self.objectives, metrics), values(self.objectives, metrics)
        return replace(one, metrics=metrics, score=found[0], values=found[1])

    def _among(self, each: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
        """The metrics of candidates with their scores among each other."""
        # Only stages of training-free scores need NumPy for it.
        from kubenas.scores.combine import combined  # noqa: PLC0415

        table = {column: [metrics.get(column, math.nan) for metrics in each] for column in self.columns}
        return [{**metrics, SCORE: found} for metrics, found in zip(each, combined(table, self.way), strict=True)]
