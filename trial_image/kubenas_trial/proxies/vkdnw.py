"""VKDNW: variance of knowledge of deep network weights (Tybl and Neumann, CVPR 2025, arXiv:2502.04975)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from kubenas_trial.networks.base import Graph, Interface, TokenPairs
from kubenas_trial.proxies.base import UnfitNetworkError
from kubenas_trial.proxies.initialisation import kaiming
from kubenas_trial.proxies.layers import NORMS, calls_seen, weighted_layers
from kubenas_trial.proxies.probe import Probe

_WEIGHTS: Final = 128
_SMOOTHING: Final = 0.05
_LEAST: Final = 1e-10
# Examples of a forward pass: so few are cheaper all at once than one class after another.
_AT_ONCE: Final = 160


class Vkdnw:
    """The entropy of the spectrum of the Fisher information that a classifier's outputs have on its weights.

    Of one weight of each of the first 128 tensors of weights, under Kaiming's initialisation and in evaluation mode,
    with the predicted probabilities smoothed by 5 %; the spectrum is told by its nine deciles.
    """

    name = "vkdnw"
    metrics = ("vkdnw",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """On the first batch; takes a backward pass for each class, of a small batch one for several.

        Raises:
            UnfitNetworkError: the network gives no logits (examples, classes).
        """
        kaiming(network)
        network.eval()
        examples = len(inputs.inputs[0])
        copies = _copies(inputs.interface, examples)
        weights: list[tuple[nn.Module, Tensor, Tensor]] = []

        def see(layer: nn.Module, given: Tensor, output: Any) -> None:
            if len(weights) < _WEIGHTS:
                seen = _factor(layer, given[:examples].detach(), output[:examples].detach())
                weights.append((layer, seen, output))

        layers: list[nn.Module] = [
            *weighted_layers(network),
            *(each for each in network.modules() if isinstance(each, NORMS)),
        ]
        with calls_seen(layers, see):
            logits: Tensor = network(*(torch.cat([each] * copies) for each in inputs.inputs))
        if logits.dim() != 2 or len(logits) != copies * examples:
            raise UnfitNetworkError("evaluation.proxies: vkdnw is for classifiers of images, series or texts")
        found: list[Tensor] = []
        totals = logits.view(copies, examples, -1).sum(1)
        for first in range(0, totals.shape[1], copies):
            # Of each copy its own class.
            classes = totals[:, first : first + copies]
            found += _derivatives(classes.diagonal().sum(), weights)[: classes.shape[1]]
        information = fisher_information(logits[:examples].detach(), torch.stack(found, dim=1))
        values = torch.linalg.eigvalsh(information).clamp(min=0)
        deciles = torch.quantile(values, torch.arange(0.1, 0.95, 0.1, dtype=values.dtype, device=values.device))
        shares = deciles / (deciles.sum() + _LEAST)
        return {"vkdnw": float(-(shares * (shares + _LEAST).log()).sum())}


def _copies(interface: Interface, examples: int) -> int:
    """How many times the examples go through the network at once, for a backward pass of as many classes.

    In evaluation mode no example depends on another one.
    """
    if isinstance(interface, Graph | TokenPairs):
        return 1
    passes = math.ceil(interface.classes * examples / _AT_ONCE)
    return math.ceil(interface.classes / passes)


def fisher_information(logits: Tensor, jacobian: Tensor) -> Tensor:
    """The mean over examples of what the predicted classes tell about weights: (weights, weights).

    Args:
        logits: (examples, classes).
        jacobian: their derivatives, (examples, classes, weights).
    """
    smoothed = logits.double().softmax(1) * (1 - _SMOOTHING) + _SMOOTHING / logits.shape[1]
    covariance = torch.diag_embed(smoothed) - smoothed[:, :, None] * smoothed[:, None]
    rows = jacobian.double()
    return (rows.transpose(1, 2) @ covariance @ rows).mean(0)


def _derivatives(logit: Tensor, calls: list[tuple[nn.Module, Tensor, Tensor]]) -> Tensor:
    """Of `logit`, a sum, by one weight of each tensor, for each copy of each example: (copies, examples, weights).

    Args:
        logit: the sum.
        calls: of each call the layer, the factor of its first weight (examples, positions), and the output.
    """
    gradients = torch.autograd.grad(logit, [output for *_, output in calls], retain_graph=True, allow_unused=True)
    found: list[Tensor] = []
    for (layer, factor, output), gradient in zip(calls, gradients, strict=True):
        first = _first_channel(layer, torch.zeros_like(output) if gradient is None else gradient)
        first = first.view(-1, *factor.shape)
        found.append((first * factor).sum(2))
        if layer.bias is not None:
            found.append(first.sum(2))
    return torch.stack(found[:_WEIGHTS], dim=2)


def _factor(layer: nn.Module, given: Tensor, output: Tensor) -> Tensor:
    """What the first weight of `layer` is multiplied with, at each position of the output: (examples, positions)."""
    if isinstance(layer, nn.Linear):
        return _first_channel(layer, given)
    if isinstance(layer, NORMS):
        # The normalized input, as the weight is 1 and the bias 0.
        return _first_channel(layer, output)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)  # noqa: S101 - all that is left
    # The weight at the first place of the kernel meets the padded input at each stride.
    padded = nn.functional.pad(given[:, 0], layer._reversed_padding_repeated_twice)
    return padded[_strided(layer.stride, output.shape[2:])].flatten(1)


def _strided(strides: tuple[int, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    return (slice(None), *(slice(0, size * stride, stride) for stride, size in zip(strides, shape, strict=True)))


def _first_channel(layer: nn.Module, values: Tensor) -> Tensor:
    """(examples, positions) of the first channel."""
    last = isinstance(layer, nn.Linear | nn.LayerNorm)
    return (values[..., 0] if last else values[:, 0]).reshape(len(values), -1)
