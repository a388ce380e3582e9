"""How far attention is from rank 1, the part of TF-TAS (Zhou et al., CVPR 2022, arXiv:2203.12217) for attention."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from kubenas_trial.proxies.probe import Probe
from kubenas_trial.proxies.synapses import diversity, with_gradients


class SynapticDiversity:
    """`synapses.diversity` of a transformer."""

    name = "synaptic-diversity"
    metrics = ("synaptic_diversity",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """Of the network with absolute weights."""
        return {"synaptic_diversity": diversity(with_gradients(network, inputs, self.name))}
