"""Partial channels: a part of them is mixed, the rest passes by (PC-DARTS, Xu et al., ICLR 2020, arXiv:1907.05737).

That saves memory, and what has no weights gains less by it. As other edges' channels are mixed in each step, edges have
strengths of their own (the paper's edge normalization).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from kubenas_trial.errors import InvalidTrialError


class PartialChannels(nn.Module):
    """A mixed operation on the first channels; the others are pooled where the stride is 2, then all interleaved.

    Args:
        parts: 1/`parts` of the channels are mixed.
        channels: in all.
        stride: that sides are divided by.
        make: the mixed operation of so many channels.
        strength: of the edge, a scalar, in the current pass.

    Raises:
        InvalidTrialError: the channels cannot be divided so.
    """

    def __init__(
        self,
        parts: int,
        channels: int,
        stride: int,
        make: Callable[[int], nn.Module],
        strength: Callable[[], Tensor],
    ) -> None:
        super().__init__()
        if channels % parts:
            raise InvalidTrialError(
                f"evaluation.partialChannels: {channels} channels cannot be divided by {parts}: choose a divisor, or "
                "task.settings.network.channels that are a multiple"
            )
        self._parts = parts
        self._strength = strength
        self.operations = make(channels // parts)
        self._rest = nn.Identity() if stride == 1 else nn.MaxPool2d(stride, stride, ceil_mode=True)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) to the same, sides divided by the stride and rounded up."""
        mixed = inputs.shape[1] // self._parts
        outputs = torch.cat([self.operations(inputs[:, :mixed]), self._rest(inputs[:, mixed:])], dim=1)
        # Interleaved, so that the next operations mix other channels.
        batch, channels, height, width = outputs.shape
        shuffled = outputs.view(batch, self._parts, channels // self._parts, height, width).transpose(1, 2)
        return self._strength() * shuffled.reshape(outputs.shape)


def normalized(strengths: Tensor, targets: Sequence[int]) -> Tensor:
    """The softmax of edges' strengths (edges,) over those that lead to the same node."""
    nodes = torch.tensor(targets, device=strengths.device)
    same = nodes[:, None] == nodes[None, :]
    return (strengths - strengths.expand(len(targets), -1).masked_fill(~same, -torch.inf).logsumexp(1)).exp()
