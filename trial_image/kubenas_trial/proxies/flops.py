"""Multiply-adds of one example: a baseline that a proxy must beat."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from kubenas_trial.proxies.probe import Probe


class Flops:
    """The multiply-adds of a network's forward pass on one example."""

    name = "flops"
    metrics = ("flops",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """As every result has it."""
        return {"flops": inputs.flops(network)}
