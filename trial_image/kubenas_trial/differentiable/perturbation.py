"""Random smoothing: weights are learned under noise on the mixture (Chen and Hsieh, ICML 2020, arXiv:2002.05283).

What derives well must then do well around the mixture too, not at its sharp optimum alone.
"""

from __future__ import annotations

from torch import Tensor

_FIRST, _LAST = 0.03, 0.3


def noise_at(progress: float) -> float:
    """The noise's largest value, which rises in a line as in the authors' search."""
    return _FIRST + (_LAST - _FIRST) * progress


def perturbed(probabilities: Tensor, noise: float) -> Tensor:
    """Rows of probabilities with even noise up to `noise` on each that is not 0, cut at 0 and scaled to a sum of 1."""
    moved = (probabilities + probabilities.new_empty(probabilities.shape).uniform_(-noise, noise)).clamp(min=1e-6)
    moved = moved * (probabilities > 0)
    return moved / moved.sum(-1, keepdim=True)
