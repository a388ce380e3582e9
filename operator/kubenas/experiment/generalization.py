"""Whether the best finalist is as good on data that the search has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev, variance

from kubenas.api.objective import Objective
from kubenas.experiment.finding import Finding
from kubenas.experiment.judged import Judged
from kubenas.experiment.stages import ResolvedStage

# Of the difference between validation and test, by the trainings' spread: two-sided.
_CONFIDENCE = 0.95


def generalization(objective: Objective, last: ResolvedStage, finalists: Sequence[Judged]) -> Finding:
    """Compare the best finalist's validation with its test, by the primary objective.

    Validation may be above test by what choosing the best of several noisy values is expected to add, and by what
    the trainings' spread leaves open (a t interval over the seeds).

    Args:
        objective: the primary one.
        last: the last stage.
        finalists: its candidates with all their seeds, the best first.
    """
    if last.seeds == 1:
        message = "With one seed it is not known how far results differ between trainings: set evaluation.seeds."
        return Finding(None, "OneSeed", message)
    if not finalists:
        return Finding(None, "NotJudgedYet", "No candidate of the last stage has been trained with all seeds.")
    best, metric = finalists[0], objective.metric
    gaps = _gaps(objective, best)
    if len(gaps) < 2:
        message = f"Fewer than two trainings of {best.trial} report both {metric} and test_{metric}."
        return Finding(None, "NoTestMetric", message)
    gap, margin = fmean(gaps), _margin(gaps)
    expected = expected_excess(objective, finalists)
    shown = " and ".join(_shown(best, name) for name in (metric, f"test_{metric}"))
    others = [value for one in finalists[1:] for value in _gaps(objective, one)]
    of_others = f" (of the other finalists: {_compared(fmean(others))})" if others else ""
    numbers = (
        f"The best of {len(finalists)} finalists has {shown} over {len(gaps)} seeds. Validation is {_compared(gap)} ± "
        f"{margin:.2g} than test{of_others}; choosing the best is expected to make it better by {expected:.2g}."
    )
    if gap - margin > expected:
        return Finding(False, "ValidationBetterThanTest", numbers)
    return Finding(True, "WithinNoise", numbers)


def expected_excess(objective: Objective, finalists: Sequence[Judged]) -> float:
    """How far the best validation mean is expected to be better than the truth, since the best was chosen.

    By Tweedie's formula with a normal prior: the means are shrunk to their own mean by the share of their variance that
    trainings explain (Efron, "Tweedie's Formula and Selection Bias", JASA 2011).

    Args:
        objective: the primary one.
        finalists: the best first.

    Returns:
        In the metric's unit, 0 or more.
    """
    known = [values for one in finalists if len(values := one.measured(objective.metric)) > 1]
    if len(known) < 2:
        return 0.0
    noise = fmean(variance(values) / len(values) for values in known)
    means = [fmean(values) for values in known]
    spread = variance(means)
    share = min(1.0, noise / spread) if spread > 0 else 1.0
    best = max(means) if objective.goal == "maximize" else min(means)
    return share * abs(best - fmean(means))


def _gaps(objective: Objective, one: Judged) -> list[float]:
    """By how much validation is better than test, in each training."""
    sign = 1 if objective.goal == "maximize" else -1
    test = f"test_{objective.metric}"
    return [sign * (t[objective.metric] - t[test]) for t in one.trainings if objective.metric in t and test in t]


def _compared(gap: float) -> str:
    return f"{'better' if gap >= 0 else 'worse'} by {abs(gap):.4g}"


def _margin(gaps: Sequence[float]) -> float:
    """Half the t interval of their mean."""
    # Only experiments that have finalists need it.
    from scipy.special import stdtrit  # noqa: PLC0415

    quantile = float(stdtrit(len(gaps) - 1, (1 + _CONFIDENCE) / 2))
    return quantile * stdev(gaps) / math.sqrt(len(gaps))


def _shown(one: Judged, metric: str) -> str:
    return f"{metric} {one.metrics[metric]:.4g} ± {one.spread(metric) or 0.0:.2g}"
