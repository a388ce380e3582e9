"""Number of weights: a baseline that a proxy must beat."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from kubenas_trial.measure.cost import count_parameters
from kubenas_trial.proxies.probe import Probe


class Params:
    """The number of a network's weights."""

    name = "params"
    metrics = ("params",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:  # noqa: ARG002 - a Proxy's signature
        """As every result has it."""
        return {"params": count_parameters(network)}
