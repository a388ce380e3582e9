"""Initialisations that papers score networks with, in place of torch's."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from kubenas_trial.proxies.layers import NORMS, weighted_layers


def initialise(network: nn.Module, draw: Callable[[Tensor], object]) -> None:
    """`draw` the weights of convolutions and linear layers; biases 0, normalizations the identity."""
    for layer in weighted_layers(network):
        draw(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    for module in network.modules():
        if isinstance(module, NORMS):
            if module.weight is not None:
                nn.init.ones_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def kaiming(network: nn.Module) -> None:
    """Normal weights of variance 2 / fan-in (He et al., ICCV 2015)."""
    initialise(network, lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"))


def standard_normal(network: nn.Module) -> None:
    """Standard normal weights."""
    initialise(network, nn.init.normal_)
