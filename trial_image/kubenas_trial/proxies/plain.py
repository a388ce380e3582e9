"""Weight times gradient (Mozer and Smolensky, NeurIPS 1988; as a proxy Abdelfattah et al., ICLR 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from kubenas_trial.proxies.layers import summed, weighted_layers
from kubenas_trial.proxies.probe import Probe


class Plain:
    """The sum of weight times gradient of the loss, over convolutions and linear layers."""

    name = "plain"
    metrics = ("plain",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """Signs are kept."""
        torch.autograd.backward(inputs.loss(network, inputs.batches[0]))
        return {"plain": summed(weighted_layers(network), lambda weight, gradient: (weight * gradient).sum())}
