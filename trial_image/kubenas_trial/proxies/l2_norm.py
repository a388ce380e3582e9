"""Norm of the initial weights (Abdelfattah et al., ICLR 2021, arXiv:2101.08134, a baseline)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from kubenas_trial.proxies.layers import weighted_layers
from kubenas_trial.proxies.probe import Probe


class L2Norm:
    """The sum of the Euclidean norms of the weights of convolutions and linear layers."""

    name = "l2_norm"
    metrics = ("l2_norm",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:  # noqa: ARG002 - a Proxy's signature
        """It depends on the shapes of the weights nearly alone."""
        return {"l2_norm": sum(float(layer.weight.detach().norm()) for layer in weighted_layers(network))}
