"""Translation token by token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from kubenas_trial.networks.seq2seq import Seq2Seq


class Decoding(Protocol):
    """The state of decoding a batch of sentences."""

    def step(self, tokens: Tensor) -> tuple[Tensor, Decoding]:
        """Logits (batch, target vocabulary) of the token after `tokens` (batch), and the state after it."""

    def of(self, kept: Tensor) -> Decoding:
        """The `kept` sentences alone (mask or indices of the batch)."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A `Decoding` by a network that only takes whole targets, such as an exported one.

    Attributes:
        network: from source and target so far to logits, as `Seq2Seq.forward`.
        source: (batch, source length).
        target: (batch, length of the target so far).
    """

    network: nn.Module
    source: Tensor
    target: Tensor

    def step(self, tokens: Tensor) -> tuple[Tensor, Whole]:
        """The next logits."""
        target = torch.cat((self.target, tokens[:, None]), dim=1)
        return self.network(self.source, target)[:, -1], replace(self, target=target)

    def of(self, kept: Tensor) -> Whole:
        """The `kept` ones."""
        return replace(self, source=self.source[kept], target=self.target[kept])


def start(network: nn.Module, source: Tensor) -> Decoding:
    """The translation of `source` (batch, source length) by `network`, before the target's first token."""
    # A compiled network forwards its methods; an exported one has none.
    if hasattr(network, "start"):
        return cast("Seq2Seq", network).start(source)
    return Whole(network, source, source[:, :0])
