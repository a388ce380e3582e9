"""SWAP: sample-wise activation patterns (Peng et al., ICLR 2024, arXiv:2403.04161)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from kubenas_trial.proxies.layers import relu_inputs
from kubenas_trial.proxies.probe import Probe

_EXAMPLES = 16


class Swap:
    """The number of different patterns: for which of 16 examples a ReLU is active, over all ReLUs.

    Without the paper's regularization by size, which presumes a size that is wanted.
    """

    name = "swap"
    metrics = ("swap",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """On the first examples of the first batch.

        Raises:
            UnfitNetworkError: the network has no ReLU.
        """
        given = tuple(each[:_EXAMPLES] for each in inputs.inputs)
        values = relu_inputs(network, inputs.interface, given, self.name)
        powers = 2 ** torch.arange(len(given[0]), device=inputs.device)
        patterns = torch.cat([((each > 0) * powers[:, None]).sum(0) for each in values])
        return {"swap": len(torch.unique(patterns))}
