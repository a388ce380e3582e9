"""Fisher: channel saliency (Turner et al., ICLR 2020, arXiv:1906.04113; as a proxy Abdelfattah et al., ICLR 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kubenas_trial.proxies.layers import calls_seen, weighted_layers
from kubenas_trial.proxies.probe import Probe


class Fisher:
    """Half the mean over examples of (activation times gradient, summed over positions) squared, for each weight.

    A channel's saliency counts once for each weight that leads to it, over convolutions and linear layers.
    """

    name = "fisher"
    metrics = ("fisher",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """On the first batch."""
        outputs: list[tuple[nn.Module, Tensor]] = []

        def see(layer: nn.Module, _: Tensor, output: Any) -> None:
            outputs.append((layer, output))

        with calls_seen([*weighted_layers(network)], see):
            loss = inputs.loss(network, inputs.batches[0])
        gradients = torch.autograd.grad(loss, [output for _, output in outputs], allow_unused=True)
        total = 0.0
        for (layer, output), gradient in zip(outputs, gradients, strict=True):
            if gradient is not None:
                taylor = output.detach() * gradient
                # Channels of a linear layer are last, of a convolution second.
                channels = taylor.flatten(1, -2).sum(1) if isinstance(layer, nn.Linear) and taylor.dim() > 2 else taylor
                channels = channels.flatten(2).sum(2) if channels.dim() > 2 else channels
                weight: Any = layer.weight
                total += float(channels.square().mean(0).sum()) / 2 * weight[0].numel()
        return {"fisher": total}
