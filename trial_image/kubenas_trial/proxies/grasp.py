"""GraSP: gradient signal preservation (Wang et al., ICLR 2020, arXiv:2002.07376).

As a proxy: Abdelfattah et al., ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from kubenas_trial.proxies.base import UnfitNetworkError
from kubenas_trial.proxies.layers import summed, weighted_layers
from kubenas_trial.proxies.probe import Probe


class Grasp:
    """Minus the sum of weight times (Hessian of the loss times its gradient), over convolutions and linear layers."""

    name = "grasp"
    metrics = ("grasp",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """The Hessian is never formed: its product with the gradient is the gradient of a product of gradients.

        Raises:
            UnfitNetworkError: an operation of the network has no second derivative.
        """
        layers = weighted_layers(network)
        weights = [layer.weight for layer in layers]
        try:
            # Fused attention has no second derivative.
            with sdpa_kernel(SDPBackend.MATH):
                loss = inputs.loss(network, inputs.batches[0])
                gradients = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
                squares = [(each.detach() * each).sum() for each in gradients if each is not None]
                torch.autograd.backward(torch.stack(squares).sum())
        except (NotImplementedError, RuntimeError) as error:
            if "is not implemented" not in str(error):
                raise
            raise UnfitNetworkError(
                f"evaluation.proxies: grasp is for networks with second derivatives, and of this one {error}"
            ) from None
        return {"grasp": -summed(layers, lambda weight, product: (weight * product).sum())}
