"""Number of trainable layers: a baseline that a proxy must beat."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from kubenas_trial.proxies.probe import Probe


class TrainableLayers:
    """The number of tensors of weights, as Tybl and Neumann (CVPR 2025, arXiv:2502.04975) count a network's layers."""

    name = "trainable-layers"
    metrics = ("trainable_layers",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:  # noqa: ARG002 - a Proxy's signature
        """Weights and biases of normalizations count too."""
        return {"trainable_layers": sum(1 for _ in network.parameters())}
