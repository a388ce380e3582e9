"""The layers of a transformer, as its proxies look at them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from torch import nn

from kubenas_trial.networks.token_mixers import HeadwiseLinear
from kubenas_trial.proxies.base import UnfitNetworkError

Dense: TypeAlias = nn.Linear | HeadwiseLinear


@dataclass(frozen=True, slots=True)
class TransformerPart:
    """One layer: its operations by which positions exchange information, and what each position goes through."""

    layer: nn.Module
    mixing: tuple[nn.Module, ...]
    feed_forward: nn.Module

    def mixing_layers(self) -> Iterator[Dense]:
        """The dense layers of attention, or of what takes its place."""
        return chain.from_iterable(map(dense_layers, self.mixing))

    def feed_forward_layers(self) -> Iterator[Dense]:
        """The dense layers of the feed-forward part."""
        return dense_layers(self.feed_forward)


def transformer_parts(network: nn.Module, proxy: str) -> list[TransformerPart]:
    """The layers of `network` in their order.

    Raises:
        UnfitNetworkError: there are none; the message names `proxy`.
    """
    found = list(_parts(network))
    if not found:
        raise UnfitNetworkError(
            f"evaluation.proxies: {proxy} looks at the layers of transformers, and this network has none: take it with "
            "the presets vit, bert-encoder, transformer-decoder or seq2seq"
        )
    return found


def _parts(network: nn.Module) -> Iterator[TransformerPart]:
    for module in network.modules():
        children = dict(module.named_children())
        mixing = tuple(children[name] for name in ("attention", "mixing", "cross") if name in children)
        if mixing and "feed_forward" in children:
            yield TransformerPart(module, mixing, children["feed_forward"])


def dense_layers(part: nn.Module) -> Iterator[Dense]:
    """Those of `part`, or `part` itself."""
    return (module for module in part.modules() if isinstance(module, Dense))
