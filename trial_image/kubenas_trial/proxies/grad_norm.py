"""Norm of the gradient (Abdelfattah et al., ICLR 2021, arXiv:2101.08134)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from kubenas_trial.proxies.layers import summed, weighted_layers
from kubenas_trial.proxies.probe import Probe


class GradNorm:
    """The sum of the Euclidean norms of the loss's gradients, over convolutions and linear layers."""

    name = "grad_norm"
    metrics = ("grad_norm",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """On the first batch."""
        torch.autograd.backward(inputs.loss(network, inputs.batches[0]))
        return {"grad_norm": summed(weighted_layers(network), lambda _, gradient: gradient.norm())}
