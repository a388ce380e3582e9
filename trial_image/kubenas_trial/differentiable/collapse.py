"""When a search has collapsed, and which of its epochs was the last good one.

Skips need no training, so that in a long search their weights may outgrow all others'. Two rules of the literature:

- The largest eigenvalue of the Hessian in the alphas grows by a third within a tenth of the search (DARTS-ES, Zela et
  al., ICLR 2020, arXiv:1909.09656: a ratio below 0.75 within 5 of 50 epochs, each value smoothed, from epoch 10 on).
- A cell has two or more skips among its eight operations (DARTS+, Liang et al., 2019, arXiv:1909.06035), here the same
  share for a tenth of the search, as alphas that are still nearly equal derive anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_RATIO: Final = 0.75
_SKIPS: Final = 0.25
# Shares of the search: in which nothing is judged, and that eigenvalues are compared over.
_START: Final = 0.2
_SPAN: Final = 0.1
# Epochs whose eigenvalues are averaged.
_SMOOTHED: Final = 5
# Eigenvalues of a search at most, but for a last one.
_MEASURES: Final = 25


@dataclass(frozen=True, slots=True)
class Signs:
    """What tells of collapse after an epoch: the last eigenvalue that was measured, and the share of skips."""

    eigenvalue: float
    skip_share: float


def measured(epoch: int, epochs: int) -> bool:
    """Whether the eigenvalue is measured after `epoch`, the first of `epochs` being 1."""
    return (epoch - 1) % max(1, epochs // _MEASURES) == 0


def last_good(past: Sequence[Signs], epochs: int) -> int | None:
    """The epoch to go back to where the search has collapsed with the last of `past`; None where it has not.

    It is the last one, a tenth of the search ago or before, in which the share of skips was good; where there was none,
    the one with the smallest share.
    """
    now = len(past)
    if now <= max(1, round(_START * epochs)):
        return None
    span = max(2, round(_SPAN * epochs))
    back = now - span
    grown = back >= 1 and 0 < _smooth(past, back) < _RATIO * _smooth(past, now)
    skipping = back >= 1 and all(each.skip_share >= _SKIPS for each in past[back:])
    if not (grown or skipping):
        return None
    shares = [each.skip_share for each in past[:back]]
    good = [epoch for epoch, share in enumerate(shares, start=1) if share < _SKIPS]
    if good:
        return good[-1]
    least = min(shares)
    # Skips that were as many all along are no collapse.
    return back - shares[::-1].index(least) if grown or least < past[-1].skip_share else None


def _smooth(past: Sequence[Signs], epoch: int) -> float:
    """The mean eigenvalue of the epochs up to `epoch`."""
    values = [each.eigenvalue for each in past[max(0, epoch - _SMOOTHED) : epoch]]
    return sum(values) / len(values)
