"""The proxy of LiteTransformerSearch (Javaheripi et al., NeurIPS 2022, arXiv:2203.02094)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from kubenas_trial.measure.cost import count_parameters
from kubenas_trial.proxies.probe import Probe
from kubenas_trial.proxies.transformer_layers import transformer_parts


class DecoderParams:
    """The number of weights of a transformer's layers and normalizations: all but embeddings and output."""

    name = "decoder-params"
    metrics = ("decoder_params",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:  # noqa: ARG002 - a Proxy's signature
        """Of any transformer, also of one without storage."""
        return {"decoder_params": decoder_params(network)}


def decoder_params(network: nn.Module) -> int:
    """The number of weights of the layers of `network` and of what normalizes their outputs.

    Raises:
        UnfitNetworkError: it is no transformer.
    """
    layers = [part.layer for part in transformer_parts(network, DecoderParams.name)]
    within = {module for layer in layers for module in layer.modules()}
    norms = [module for module in network.modules() if isinstance(module, nn.LayerNorm) and module not in within]
    return sum(count_parameters(module) for module in (*layers, *norms))
