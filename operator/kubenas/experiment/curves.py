"""Learning curves: merged, shortened, and read for a final value where no message was left."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Final

from kubenas.api.base import MetricValue
from kubenas.api.trial import (
    MAX_CURVE_POINTS,
    MAX_METRICS,
    MAX_STEP,
    Candidate,
    Point,
    Result,
    Source,
    most_metrics,
)
from kubenas.experiment.state import Curve, Curves, Fault, metrics_of

# Steps of a running trial that are kept in memory.
MOST_STEPS: Final = 8 * MAX_CURVE_POINTS
# The metric by which a trainer says how many epochs are done, whatever its steps count.
EPOCH: Final = "epoch"
REASON: Final = re.compile(r"[A-Z][A-Za-z0-9]{0,62}")
METRIC_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,62}")


def curves_of(points: Sequence[Point]) -> Curves:
    """Curves as a trial's status holds them."""
    curves: Curves = {}
    for point in points:
        curves.setdefault(point.candidate, {})[point.step] = {m.name: m.value for m in point.metrics}
    return curves


def gathered(
    known: Curves,
    read: Curves,
    candidates: Sequence[Candidate],
    required: Sequence[str],
    rungs: Collection[int] = (),
) -> Curves:
    """The curves of both, later readings in place of earlier ones, as long as an attempt runs.

    Bounded, whatever a trainer serves: only the trial's candidates, values that a status can hold, `required` and EPOCH
    first, and at most `MOST_STEPS` steps beside those at rungs; of a large batch, which has no curves, the last step of
    each.
    """
    curves: Curves = {}
    most, metrics = max(1, MOST_STEPS // len(candidates)), most_metrics(len(candidates))
    for candidate in candidates:
        curve = dict(known.get(candidate.id, {}))
        for step, values in read.get(candidate.id, {}).items():
            both = curve.get(step, {}) | values
            first = {name: both[name] for name in (*required, EPOCH) if math.isfinite(both.get(name, math.nan))}
            kept = dict(islice((first | _storable(both)).items(), metrics))
            if kept and 0 <= step <= MAX_STEP:
                curve[step] = kept
        # Thinned to the half, so that it stays even as it grows.
        whole = len(curve) <= most
        steps = sorted(curve) if whole else _thinned(sorted(curve), max(1, most // 2), steps_at(curve, rungs).values())
        if steps:
            curves[candidate.id] = {step: curve[step] for step in steps}
    # The same object where nothing is new, by which others see that.
    return known if curves == known else curves


def joined(known: Sequence[Point], read: Curves | None) -> Curves:
    """What was read of the attempt, after what was known up to its first step.

    So values of an earlier attempt stay as far as this one goes on from there, and are never among its own.
    """
    curves = curves_of(known)
    for candidate, found in (read or {}).items():
        if found:
            first = min(found)
            before = {step: values for step, values in curves.get(candidate, {}).items() if step < first}
            curves[candidate] = before | found
    return curves


def merged(
    known: Sequence[Point],
    read: Curves | None,
    candidates: Sequence[Candidate],
    required: Sequence[str],
    rungs: Collection[int] = (),
) -> list[Point]:
    """What was read joined to what was known, as a status keeps it.

    That is `required` metrics at `MAX_CURVE_POINTS` steps and at all rungs, with the epochs that are done where these
    are not the steps.

    Of what was read, only what a status can hold: a trainer may serve anything. Of more candidates than could each have
    two points there is no curve.
    """
    if not read or len(candidates) > MAX_CURVE_POINTS // 2:
        return list(known)
    kept: Curves = {}
    for candidate in candidates:
        curve: Curve = {}
        for step, values in read.get(candidate.id, {}).items():
            told = {name: values[name] for name in required if math.isfinite(values.get(name, math.nan))}
            if told and rungs and (epoch := epoch_of(step, values)) != step:
                told[EPOCH] = float(epoch)
            if told and 0 <= step <= MAX_STEP:
                curve[step] = told
        kept[candidate.id] = curve
    curves = joined(known, kept)
    share = max(2, MAX_CURVE_POINTS // max(1, len(curves)))
    return [
        Point(candidate=candidate, step=step, metrics=_values(curves[candidate][step]))
        for candidate in sorted(curves)
        for step in _thinned(sorted(curves[candidate]), share, steps_at(curves[candidate], rungs).values())
    ]


def epoch_of(step: int, values: Mapping[str, float]) -> int:
    """The epochs that are done at a step: what the trainer says, else as many as the step counts."""
    epoch = values.get(EPOCH, step)
    return int(epoch) if math.isfinite(epoch) else step


def steps_at(curve: Curve, rungs: Collection[int]) -> dict[int, int]:
    """The step at which each rung that was seen was reached, by rung."""
    found: dict[int, int] = {}
    for step in sorted(curve) if rungs else ():
        epoch = epoch_of(step, curve[step])
        if epoch in rungs:
            found.setdefault(epoch, step)
    return found


def whole_results(
    read: Curves | None, candidates: Sequence[Candidate], required: Sequence[str], source: Source
) -> list[Result]:
    """Results by the curves of one attempt: all candidates', or none at all.

    A candidate's training is over once its trainer reports as many epochs as were asked for; steps may count anything.
    """
    results = []
    for candidate in candidates:
        shown = (read or {}).get(candidate.id, {})
        curve = {step: values for step, values in shown.items() if _over(candidate, values)}
        found = last_values(candidate, curve, required, source)
        if found is None:
            return []
        results.append(found)
    return results


def missing_objective(read: Curves | None, candidates: Sequence[Candidate], required: Sequence[str]) -> Fault | None:
    """An objective that no candidate has shown although the turn of one is over: the trainer does not report it.

    Candidates are evaluated one after another, and each shows its last report until the end. One that alone lacks an
    objective fails alone, once the results of the others are there.
    """
    shown = [candidate for candidate in candidates if (read or {}).get(candidate.id)]
    ever = {name for curve in (read or {}).values() for values in curve.values() for name in values}
    missing = next((name for name in required if name not in ever), None)
    for candidate in shown[:-1] if missing else ():
        curve = (read or {})[candidate.id]
        last = curve[max(curve)]
        if _over(candidate, last):
            there = ", ".join(name for name in sorted(last) if name != EPOCH) or "nothing"
            message = f"candidate {candidate.id} has ended without {missing}, an objective; it reported {there}"
            return Fault("MetricMissing", message)
    return None


def last_results(
    curves: Curves, candidates: Sequence[Candidate], required: Sequence[str], source: Source
) -> list[Result]:
    """The last values of each candidate that has any, however far it has come."""
    found = (last_values(one, curves.get(one.id, {}), required, source) for one in candidates)
    return [result for result in found if result is not None]


def _over(candidate: Candidate, values: Mapping[str, float]) -> bool:
    """Whether values are the candidate's last: the first ones are where nothing is trained for it."""
    return candidate.epochs is None or values.get(EPOCH) == candidate.epochs


def last_values(candidate: Candidate, curve: Curve, required: Sequence[str], source: Source) -> Result | None:
    """The last values of one candidate that has all that is `required`, however far it has come."""
    storable = {step: _storable(values) for step, values in curve.items() if 0 <= step <= MAX_STEP}
    step = max((s for s, values in storable.items() if all(name in values for name in required)), default=None)
    if step is None:
        return None
    kept = [*required, *(name for name in storable[step] if name not in required)][:MAX_METRICS]
    values = {name: storable[step][name] for name in kept}
    return Result(candidate=candidate.id, step=step, metrics=_values(values), source=source)


def _values(values: dict[str, float]) -> list[MetricValue]:
    return [MetricValue(name=name, value=value) for name, value in metrics_of(values)]


def _storable(values: Mapping[str, float]) -> dict[str, float]:
    """What a status can hold, in one order; EPOCH is no value of the architecture."""
    named = sorted((n, v) for n, v in values.items() if n != EPOCH and METRIC_NAME.fullmatch(n))
    return {name: value for name, value in named if math.isfinite(value)}


def _thinned(steps: list[int], most: int, always: Collection[int] = ()) -> list[int]:
    """At most `most` of the steps, evenly spread, the last and the first among them; beside those that always stay."""
    if len(steps) <= most:
        return steps
    spread = {steps[round(i * (len(steps) - 1) / (most - 1))] for i in range(most)} if most > 1 else {steps[-1]}
    return sorted({*spread, *always})
