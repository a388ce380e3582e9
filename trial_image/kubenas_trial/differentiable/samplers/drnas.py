"""DrNAS: weights are a Dirichlet sample (Chen, Wang, Cheng, Tang and Hsieh, ICLR 2021, arXiv:2006.10355).

Its concentrations are elu(alpha) + 1, held near 1, where all mixtures are as likely, by a penalty on their distance.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor
from torch.distributions import Dirichlet
from torch.nn.functional import elu

from kubenas_trial.differentiable.samplers.base import Sampler

# The authors' weight of the penalty.
_SCALE = 1e-3
_SMALLEST = 1e-6


def _concentrations(alphas: Tensor) -> Tensor:
    return elu(alphas) + 1


def _mean(alphas: Tensor, kept: Tensor) -> Tensor:
    weights = _concentrations(alphas) * kept
    return weights / weights.sum(-1, keepdim=True)


def _draw(probabilities: Tensor, alphas: Tensor, _progress: float) -> Tensor:
    kept = probabilities > 0
    total = (_concentrations(alphas) * kept).sum(-1, keepdim=True)
    # Shares of some of the operations, scaled to a sum of 1, have the Dirichlet distribution of these alone.
    concentrations = (probabilities * total).clamp(min=_SMALLEST)
    drawn = Dirichlet(concentrations.where(kept, concentrations.new_ones(()))).rsample() * kept
    shares: Tensor = drawn / drawn.sum(-1, keepdim=True)
    return shares


def _penalty(alphas: Tensor) -> Tensor:
    distance: Tensor = (_concentrations(alphas) - 1).norm()
    return _SCALE * distance


DRNAS: Final = Sampler(_mean, _draw, penalty=_penalty)
