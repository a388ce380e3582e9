"""SNAS: weights are a relaxed sample (Xie, Zheng, Liu and Lin, ICLR 2019, arXiv:1812.09926).

The temperature falls exponentially from 1 to 0.33; the paper does not give its own.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor

from kubenas_trial.differentiable.samplers.base import Sampler, gumbel_softmax, softmax

_LAST = 0.33


def _draw(probabilities: Tensor, _alphas: Tensor, progress: float) -> Tensor:
    return gumbel_softmax(probabilities, _LAST**progress)


SNAS: Final = Sampler(softmax, _draw)
