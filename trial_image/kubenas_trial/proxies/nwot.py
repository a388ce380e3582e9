"""NASWOT: neural architecture search without training (Mellor et al., ICML 2021, arXiv:2006.04647)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from kubenas_trial.proxies.layers import relu_inputs
from kubenas_trial.proxies.probe import Probe


class Nwot:
    """The logarithm of the determinant of the kernel that counts the ReLUs in which two examples agree."""

    name = "nwot"
    metrics = ("nwot",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """On the first batch.

        Raises:
            UnfitNetworkError: the network has no ReLU.
        """
        examples = len(inputs.inputs[0])
        kernel = torch.zeros(examples, examples, dtype=torch.float64, device=inputs.device)
        for values in relu_inputs(network, inputs.interface, inputs.inputs, self.name):
            active = (values > 0).float()
            kernel += active @ active.T + (1 - active) @ (1 - active).T
        return {"nwot": float(torch.linalg.slogdet(kernel).logabsdet)}
