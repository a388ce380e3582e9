"""Whether differentiable searches have converged, or went back as they collapsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Final

from kubenas.experiment.finding import Finding

RESTORED: Final = "restored_epoch"
# What shows a collapse, as a message tells it.
SIGNALS: Final[Mapping[str, str]] = {
    "skip_share": "share of skips",
    "alpha_entropy": "entropy of the alphas",
    "hessian_eigenvalue": "largest eigenvalue of the Hessian",
    "discretization_gap": "loss of accuracy by discretization",
}
# Searches that a message names.
_NAMED: Final = 5


def convergence(searches: Sequence[tuple[str, Mapping[str, float]]]) -> Finding:
    """What the results of differentiable searches say of them.

    Args:
        searches: the trial's name and its metrics, in order of trials.
    """
    if not searches:
        return Finding(None, "NotEndedYet", "No differentiable search has ended.")
    known = {name: [metrics[name] for _, metrics in searches if name in metrics] for name in SIGNALS}
    means = ", ".join(f"{SIGNALS[name]} {fmean(values):.3g}" for name, values in known.items() if values)
    collapsed = [(trial, metrics[RESTORED]) for trial, metrics in searches if metrics.get(RESTORED, 0) > 0]
    count = len(searches)
    ended = f"{count} differentiable {'search has' if count == 1 else 'searches have'} ended"
    numbers = f"{ended}{f' (means: {means})' if means else ''}"
    if not collapsed:
        return Finding(True, "Converged", f"{numbers}; none has collapsed.")
    named = ", ".join(f"{trial} to epoch {epoch:.0f}" for trial, epoch in collapsed[:_NAMED])
    more = f" and {len(collapsed) - _NAMED} more" if len(collapsed) > _NAMED else ""
    went = f"{numbers}; {len(collapsed)} collapsed and went back to the last good alphas"
    return Finding(False, "Collapsed", f"{went}: {named}{more}.")
