"""How much the weights of the feed-forward parts matter, the part of TF-TAS (Zhou et al., CVPR 2022) for these."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from kubenas_trial.proxies.probe import Probe
from kubenas_trial.proxies.synapses import saliency, with_gradients


class SynapticSaliency:
    """`synapses.saliency` of a transformer."""

    name = "synaptic-saliency"
    metrics = ("synaptic_saliency",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """Of the network with absolute weights."""
        return {"synaptic_saliency": saliency(with_gradients(network, inputs, self.name))}
