"""Learning curves: merged, shortened, and read for a final value where no message was left."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import islice
from typing import Final

from kubenas.api.base import MetricValue
from kubenas.api.trial import MAX_CURVE_POINTS, Candidate, Point, Result, Source
from kubenas.experiment.state import Curve, Curves, metrics_of

MAX_METRICS: Final = 64
_METRIC_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,62}")


def curves_of(points: Sequence[Point]) -> Curves:
    """Curves as a trial's status holds them."""
    curves: Curves = {}
    for point in points:
        curves.setdefault(point.candidate, {})[point.step] = {m.name: m.value for m in point.metrics}
    return curves


def merged(known: Sequence[Point], read: Curves | None, candidates: Sequence[Candidate]) -> list[Point]:
    """The points of both, later readings in place of earlier ones, at most `MAX_CURVE_POINTS`.

    Of what was read, only what a status can hold: a trainer may serve anything.
    """
    if not read:
        return list(known)
    curves = curves_of(known)
    for candidate in candidates:
        for step, values in read.get(candidate.id, {}).items():
            storable = {name: value for name, value in sorted(values.items()) if _storable(name, value)}
            if storable and step >= 0:
                curves.setdefault(candidate.id, {})[step] = dict(islice(storable.items(), MAX_METRICS))
    share = max(2, MAX_CURVE_POINTS // max(1, len(curves)))
    return [
        Point(candidate=candidate, step=step, metrics=_values(curves[candidate][step]))
        for candidate in sorted(curves)
        for step in _thinned(sorted(curves[candidate]), share)
    ]


def final_results(
    points: Sequence[Point], candidates: Sequence[Candidate], required: Sequence[str], source: Source, *, partial: bool
) -> list[Result]:
    """The last values of each candidate's curve as its results.

    Without `partial` only curves that reached their last epoch count, and all candidates must have one:
    else there is no result at all.
    """
    curves = curves_of(points)
    results = []
    for candidate in candidates:
        curve: Curve = curves.get(candidate.id, {})
        step = max((s for s, values in curve.items() if all(name in values for name in required)), default=None)
        if step is None or (step < candidate.epochs and not partial):
            if partial:
                continue
            return []
        results.append(Result(candidate=candidate.id, step=step, metrics=_values(curve[step]), source=source))
    return results


def _values(values: dict[str, float]) -> list[MetricValue]:
    return [MetricValue(name=name, value=value) for name, value in metrics_of(values)]


def _storable(name: str, value: float) -> bool:
    return _METRIC_NAME.fullmatch(name) is not None and math.isfinite(value)


def _thinned(steps: list[int], most: int) -> list[int]:
    """At most `most` of the steps, evenly spread, the first and the last among them."""
    if len(steps) <= most:
        return steps
    return [steps[round(i * (len(steps) - 1) / (most - 1))] for i in range(most)]
