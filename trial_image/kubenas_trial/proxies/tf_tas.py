"""TF-TAS (Zhou et al., "Training-Free Transformer Architecture Search", CVPR 2022, arXiv:2203.12217)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from kubenas_trial.proxies.probe import Probe
from kubenas_trial.proxies.synapses import diversity, saliency, with_gradients


class TFTAS:
    """The paper's sum of synaptic diversity and synaptic saliency, each a proxy too."""

    name = "tf-tas"
    metrics = ("tf_tas",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """Of the network with absolute weights."""
        parts = with_gradients(network, inputs, self.name)
        return {"tf_tas": diversity(parts) + saliency(parts)}
