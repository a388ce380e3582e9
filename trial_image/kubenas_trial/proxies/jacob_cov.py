"""Jacobian covariance (Mellor et al., arXiv:2006.04647v1, 2020; as a proxy Abdelfattah et al., ICLR 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from kubenas_trial.proxies.jacobian import input_gradients
from kubenas_trial.proxies.probe import Probe

_K = 1e-5


class JacobCov:
    """Minus the sum of log(v) + 1 / v over the eigenvalues v of the correlations of examples' gradients.

    The gradients are of the outputs with respect to each example; the less alike, the better can they be told apart.
    """

    name = "jacob_cov"
    metrics = ("jacob_cov",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """On the first batch."""
        gradients = input_gradients(network, inputs, self.name).double()
        values = torch.linalg.eigvalsh(torch.corrcoef(gradients).nan_to_num()).clamp(min=0) + _K
        return {"jacob_cov": -float((values.log() + 1 / values).sum())}
