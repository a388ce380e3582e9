"""Gradients of a network's outputs with respect to its inputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kubenas_trial.networks.base import Images, ImageText, Series
from kubenas_trial.proxies.base import UnfitNetworkError
from kubenas_trial.proxies.probe import Probe


def input_gradients(network: nn.Module, inputs: Probe, proxy: str) -> Tensor:
    """The gradient of the sum of all outputs with respect to each example of the first batch: (examples, numbers).

    Raises:
        UnfitNetworkError: inputs are no numbers, or are one example.
    """
    if not isinstance(inputs.interface, Images | Series | ImageText):
        raise UnfitNetworkError(
            f"evaluation.proxies: {proxy} compares gradients by images or series, and this network reads none"
        )
    first, *others = inputs.inputs
    first = first.clone().requires_grad_()
    output: Tensor = network(first, *others)
    [gradient] = torch.autograd.grad(output.sum(), [first], allow_unused=True)
    return torch.zeros_like(first).flatten(1) if gradient is None else gradient.flatten(1)
