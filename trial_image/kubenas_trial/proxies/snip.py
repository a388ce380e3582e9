"""SNIP: connection sensitivity (Lee et al., ICLR 2019, arXiv:1810.02340; as a proxy Abdelfattah et al., ICLR 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from kubenas_trial.proxies.layers import summed, weighted_layers
from kubenas_trial.proxies.probe import Probe


class Snip:
    """The sum of the magnitudes of weight times gradient of the loss, over convolutions and linear layers."""

    name = "snip"
    metrics = ("snip",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """On the first batch."""
        torch.autograd.backward(inputs.loss(network, inputs.batches[0]))
        return {"snip": summed(weighted_layers(network), lambda weight, gradient: (weight * gradient).abs().sum())}
