"""What TF-TAS sees of a transformer (Zhou et al., CVPR 2022, arXiv:2203.12217)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from kubenas_trial.networks.base import Images
from kubenas_trial.proxies.probe import Probe
from kubenas_trial.proxies.transformer_layers import Dense, TransformerPart, transformer_parts


def with_gradients(network: nn.Module, inputs: Probe, proxy: str) -> list[TransformerPart]:
    """The layers of `network`, of whose weights the absolute values are taken, with the gradient of its outputs' sum.

    As SynFlow does it, so that nothing cancels out: images are one of ones, tokens those of the probe.

    Raises:
        UnfitNetworkError: it is no transformer; the message names `proxy`.
    """
    parts = transformer_parts(network, proxy)
    network.eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    is_image = isinstance(inputs.interface, Images)
    looked_at = (torch.ones_like(inputs.inputs[0][:1]),) if is_image else inputs.inputs
    network(*looked_at).sum().backward()
    return parts


def diversity(parts: Iterable[TransformerPart]) -> float:
    """Sum over attention's matrices of their nuclear norm times that of their gradient: far from rank 1 is better."""
    layers = [layer for part in parts for layer in part.mixing_layers()]
    return sum(_nuclear(layer.weight.detach()) * _nuclear(_gradient(layer)) for layer in layers)


def saliency(parts: Iterable[TransformerPart]) -> float:
    """Sum over the feed-forward parts' weights of their absolute product with their gradient."""
    layers = [layer for part in parts for layer in part.feed_forward_layers()]
    return sum(float((layer.weight.detach() * _gradient(layer)).abs().sum()) for layer in layers)


def _nuclear(matrices: Tensor) -> float:
    """The sum of singular values of one matrix, or of each head's."""
    return float(torch.linalg.matrix_norm(matrices, "nuc").sum())


def _gradient(layer: Dense) -> Tensor:
    gradient = layer.weight.grad
    return torch.zeros_like(layer.weight) if gradient is None else gradient
