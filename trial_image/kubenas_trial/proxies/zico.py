"""ZiCo: inverse coefficient of variation of gradients (Li et al., ICLR 2023, arXiv:2301.11300)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kubenas_trial.proxies.layers import weighted_layers
from kubenas_trial.proxies.probe import Probe


class Zico:
    """The sum over layers of the logarithm of the sum over weights of |gradient|'s mean over its deviation.

    Mean and deviation are over two batches; layers are convolutions and linear ones.
    """

    name = "zico"
    metrics = ("zico",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """On both batches; 0 where they are one, since nothing varies then."""
        layers = weighted_layers(network)
        found: list[list[Tensor | None]] = []
        for batch in inputs.batches:
            network.zero_grad()
            torch.autograd.backward(inputs.loss(network, batch))
            found.append([layer.weight.grad for layer in layers])
        return {"zico": sum(_layer(first, second) for first, second in zip(*found, strict=True))}


def _layer(first: Tensor | None, second: Tensor | None) -> float:
    if first is None or second is None:
        return 0.0
    both = torch.stack((first, second))
    deviations, means = both.std(0, correction=0), both.abs().mean(0)
    varying = deviations > 0
    ratio = float((means[varying] / deviations[varying]).sum())
    return math.log(ratio) if ratio > 0 else 0.0
