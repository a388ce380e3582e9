"""When a search has collapsed, and which of its epochs was the last good one.

Skips need no training, so that their weights may outgrow all others'. Two signs of the literature:

- The largest eigenvalue of the Hessian in the alphas grows by a third from one window of epochs to the next (DARTS-ES,
  Zela et al., ICLR 2020, arXiv:1909.09656: means of five epochs of fifty, a ratio below 0.75). Both windows are of
  epochs in which alphas learn, and the loss may not have fallen by a quarter from one to the other: while weights
  learn, curvature grows with what the network tells. It says nothing where each step computes one operation: the
  mixture that it is of is then not trained.
- Skips are many of a cell's operations. DARTS+ (Liang et al., 2019, arXiv:1909.06035) stops at two of eight; here it is
  half of them, as a third of all cells of DARTS and of NAS-Bench-201 have two or more, good ones among them.

A window is a tenth of the search, and a search has collapsed where a sign lasts for two: both also come and go by
chance. Windows are no shorter than the five epochs that were published, as these are no shorter for a short search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_RATIO: Final = 0.75
_SKIPS: Final = 0.5
# Shares of the search: when the alphas begin to learn, so that the weights have a start, as in PC-DARTS; and a window,
# with its fewest epochs.
WARM_UP: Final = 0.2
_WINDOW: Final = 0.1
_FEWEST: Final = 5
# How often in a search the eigenvalue is measured.
_MEASURES: Final = 10


@dataclass(frozen=True, slots=True)
class Signs:
    """What tells of collapse after an epoch.

    Attributes:
        eigenvalue: the largest of the loss's Hessian in the alphas, as it was last measured.
        loss: that it was measured of.
        skip_share: of the operations in the derived cell.
    """

    eigenvalue: float
    loss: float
    skip_share: float


def measured(epoch: int, epochs: int) -> bool:
    """Whether the eigenvalue is measured after `epoch`, the first of `epochs` being 1."""
    return (epoch - 1) % max(1, epochs // _MEASURES) == 0


def last_good(past: Sequence[Signs], epochs: int, *, mixed: bool = True) -> int | None:
    """The epoch to go back to where the search has collapsed with the last of `past`; None where it has not.

    It is the last one before the sign in which skips were not many, or the one with the fewest. Before the eigenvalue
    grew alphas must have learned for a window; before skips were many, for an epoch.

    Args:
        past: the signs of each epoch so far.
        epochs: of the whole search.
        mixed: whether a step computes all operations, so that eigenvalues count.
    """
    began, window = round(WARM_UP * epochs), max(_FEWEST, round(_WINDOW * epochs))
    sign = range(len(past) - 2 * window + 1, len(past) + 1)
    if mixed and sign[0] >= began + 2 * window and all(_has_grown(past, epoch, window) for epoch in sign):
        return _fewest_skips(past, range(began + window, sign[0] - window + 1))
    if sign[0] > began + 1 and all(past[epoch - 1].skip_share >= _SKIPS for epoch in sign):
        found = _fewest_skips(past, range(began + 1, sign[0]))
        # Skips that were as many all along are no collapse.
        return found if past[found - 1].skip_share < min(past[epoch - 1].skip_share for epoch in sign) else None
    return None


def _has_grown(past: Sequence[Signs], epoch: int, window: int) -> bool:
    """Whether the eigenvalue has, and the loss is about the same, from the window before the last one to that."""
    later, earlier = past[epoch - window : epoch], past[epoch - 2 * window : epoch - window]
    eigenvalues = [sum(each.eigenvalue for each in part) for part in (earlier, later)]
    losses = [sum(each.loss for each in part) for part in (earlier, later)]
    return 0 < eigenvalues[0] < _RATIO * eigenvalues[1] and losses[1] > _RATIO * losses[0]


def _fewest_skips(past: Sequence[Signs], among: range) -> int:
    """The last epoch in which skips were not many; where they always were, the last of those with the fewest."""

    def goodness(epoch: int) -> tuple[float, int]:
        share = past[epoch - 1].skip_share
        return (0.0 if share < _SKIPS else -share), epoch

    return max(among, key=goodness)
