"""GDAS: one operation of each place is sampled and computed (Dong and Yang, CVPR 2019, arXiv:1910.04465).

Its weight is 1, with the gradient of a relaxed sample, whose temperature falls in a line from 10 to 0.1 as in the
authors' search on NAS-Bench-201.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor
from torch.nn.functional import one_hot

from kubenas_trial.differentiable.samplers.base import Sampler, gumbel_softmax, softmax

_FIRST, _LAST = 10.0, 0.1


def _draw(probabilities: Tensor, _alphas: Tensor, progress: float) -> Tensor:
    relaxed = gumbel_softmax(probabilities, _FIRST + (_LAST - _FIRST) * progress)
    hard = one_hot(relaxed.argmax(-1), relaxed.shape[-1]).to(relaxed)
    return hard - relaxed.detach() + relaxed


GDAS: Final = Sampler(softmax, _draw, hard=True)
