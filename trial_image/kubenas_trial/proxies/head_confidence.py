"""Head confidence as NAS-Bench-BERT has it (Serianni & Kalita, ACL 2023, arXiv:2306.00288)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from kubenas_trial.networks.attention import Attention
from kubenas_trial.networks.token_mixers import DynamicSpanConvolution, LinearTransform
from kubenas_trial.proxies.base import UnfitNetworkError
from kubenas_trial.proxies.probe import Probe
from kubenas_trial.proxies.transformer_layers import dense_layers

# What each operation projects its inputs with; of transforms, which project their outputs, these.
_PROJECTIONS = {
    Attention: ("query", "key", "value"),
    DynamicSpanConvolution: ("query", "key", "value"),
    LinearTransform: ("output",),
}


class HeadConfidence:
    """The sum over projections within heads of the largest value that a channel has at any position, in the mean.

    From the pruning of heads, which are sure where they look at one token above all (Voita et al., ACL 2019).
    """

    name = "head-confidence"
    metrics = ("head_confidence",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """Of a forward pass on the probe's first batch.

        Raises:
            UnfitNetworkError: the network has no heads.
        """
        projections = [
            projection
            for module in network.modules()
            for kind, names in _PROJECTIONS.items()
            if isinstance(module, kind)
            for name in names
            # A query that each head weighs is two projections.
            for projection in dense_layers(module.get_submodule(name))
        ]
        if not projections:
            raise UnfitNetworkError(
                "evaluation.proxies: head-confidence looks at heads of attention, and this network has none: take it "
                "with the presets vit, bert-encoder, transformer-decoder or seq2seq"
            )
        found: list[Tensor] = []

        def take(_module: nn.Module, _inputs: Any, outputs: Tensor) -> None:
            found.append(outputs.amax(dim=1).mean())

        network.eval()
        with torch.no_grad(), ExitStack() as hooks:
            for projection in projections:
                hooks.callback(projection.register_forward_hook(take).remove)
            network(*inputs.inputs)
        return {"head_confidence": float(torch.stack(found).sum())}
