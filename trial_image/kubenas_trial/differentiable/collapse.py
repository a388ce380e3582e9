"""When a search has collapsed, and which of its epochs was the last good one.

Skips need no training, so that in a long search their weights may outgrow all others'. Two signs of the literature:

- The largest eigenvalue of the Hessian in the alphas grows by a third within a tenth of the search (DARTS-ES, Zela et
  al., ICLR 2020, arXiv:1909.09656: a ratio below 0.75 within 5 of 50 epochs, each value smoothed, from epoch 10 on).
- Skips are many of a cell's operations. DARTS+ (Liang et al., 2019, arXiv:1909.06035) stops at two of eight; here it is
  half of them, as a third of all cells of DARTS and of NAS-Bench-201 have two or more, good ones among them.

A search has collapsed where one of them lasts for a fifth of it: in short searches both also come and go by chance.
Nothing is judged before alphas have learned for a fifth, nor gone back to before they have for a tenth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_RATIO: Final = 0.75
_SKIPS: Final = 0.5
# Shares of the search: when the alphas begin to learn (so that the weights have a start, as in PC-DARTS), until when
# nothing is judged, that eigenvalues are compared over, and that a sign must last for.
WARM_UP: Final = 0.2
_START: Final = 0.4
_SPAN: Final = 0.1
_LASTING: Final = 0.2
# That eigenvalues are averaged over, and how often in a search they are measured.
_SMOOTHED: Final = 0.2
_MEASURES: Final = 10


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

    It is the last one before the sign, in which skips were not many; where there was none, the one with the fewest.
    """
    span, lasting = max(1, round(_SPAN * epochs)), max(2, round(_LASTING * epochs))
    before = len(past) - lasting
    first = round((WARM_UP + _SPAN) * epochs)
    if before < max(1, round(_START * epochs)):
        return None
    sign = range(before + 1, len(past) + 1)
    grown = all(_has_grown(past, epoch, span, epochs) for epoch in sign)
    skipping = all(past[epoch - 1].skip_share >= _SKIPS for epoch in sign)
    if not (grown or skipping):
        return None
    shares = {epoch: past[epoch - 1].skip_share for epoch in range(max(1, first), before - span * grown + 1)}
    if not shares:
        return None
    few = [epoch for epoch, share in shares.items() if share < _SKIPS]
    if few:
        return few[-1]
    least = min(shares.values())
    # Skips that were as many all along are no collapse.
    return max(epoch for epoch in shares if shares[epoch] == least) if grown or least < past[-1].skip_share else None


def _has_grown(past: Sequence[Signs], epoch: int, span: int, epochs: int) -> bool:
    """Whether the eigenvalue has grown within `span` epochs up to `epoch`."""
    window = max(1, round(_SMOOTHED * epochs))
    return 0 < _mean(past, epoch - span, window) < _RATIO * _mean(past, epoch, window)


def _mean(past: Sequence[Signs], epoch: int, window: int) -> float:
    """The mean eigenvalue of the `window` epochs up to `epoch`; 0 before the first."""
    values = [each.eigenvalue for each in past[max(0, epoch - window) : max(0, epoch)]]
    return sum(values) / len(values) if values else 0.0
