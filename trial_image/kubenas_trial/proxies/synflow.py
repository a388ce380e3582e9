"""SynFlow: synaptic flow (Tanaka et al., NeurIPS 2020, arXiv:2006.05467; as a proxy Abdelfattah et al., ICLR 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kubenas_trial.proxies.layers import BATCH_NORMS, check_numeric, summed, weighted_layers
from kubenas_trial.proxies.probe import Probe


class Synflow:
    """The logarithm of 1 plus the sum of weight times gradient of the output's sum, all weights made positive.

    The input is one example of ones. Batch normalizations are left out, and numbers are of double precision, since the
    sum grows by a factor with each layer; hence the logarithm, which changes no rank.
    """

    name = "synflow"
    metrics = ("synflow",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """Needs no data.

        Raises:
            UnfitNetworkError: the inputs are no images or series.
        """
        check_numeric(inputs.interface, self.name)
        for module in network.modules():
            if isinstance(module, BATCH_NORMS):
                module.forward = _as_it_is  # type: ignore[assignment]
        network.double()
        with torch.no_grad():
            for each in network.state_dict().values():
                each.abs_()
        ones = (torch.ones_like(each[:1], dtype=torch.float64) for each in inputs.inputs)
        torch.autograd.backward(network(*ones).sum())
        flow = summed(weighted_layers(network), lambda weight, gradient: (weight * gradient).abs().sum())
        return {"synflow": math.log1p(flow)}


def _as_it_is(inputs: Tensor) -> Tensor:
    return inputs
