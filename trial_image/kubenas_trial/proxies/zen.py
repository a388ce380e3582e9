"""Zen-score (Lin et al., ICCV 2021, arXiv:2102.01063)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kubenas_trial.proxies.initialisation import standard_normal
from kubenas_trial.proxies.layers import BATCH_NORMS, check_numeric, pooled_features
from kubenas_trial.proxies.probe import Probe

_STEP = 0.01


class Zen:
    """How much noise on the input changes the features before the pool: expressivity of a Gaussian network.

    The logarithm of the change, and of what batch normalizations have divided by on the way. Weights and inputs are
    standard normal. Batch normalizations tell the variance that they remember after both passes, as the authors' do.
    """

    name = "zen"
    metrics = ("zen",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """Needs no data.

        Raises:
            UnfitNetworkError: the network is no convolutional classifier.
        """
        check_numeric(inputs.interface, self.name)
        standard_normal(network)
        with torch.no_grad():
            first = tuple(torch.randn_like(each) for each in inputs.inputs)
            second = tuple(each + _STEP * torch.randn_like(each) for each in first)
            change = (
                (pooled_features(network, first, self.name) - pooled_features(network, second, self.name))
                .abs()
                .flatten(1)
                .sum(1)
                .mean()
            )
        scales = [_scale(module) for module in network.modules() if isinstance(module, BATCH_NORMS)]
        return {"zen": float(change.log()) + sum(scales)}


def _scale(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> float:
    variance: Tensor | None = norm.running_var
    return 0.0 if variance is None else float(variance.mean().log()) / 2
