"""What the networks of series have in common: normalization, activation, pooling over time."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

from kubenas_trial.networks.parts import sequence

ACTIVATIONS: Final[dict[str, type[nn.Module]]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


class ChannelNorm(nn.LayerNorm):
    """Layer normalization (Ba et al., 2016) of each step over its channels: (batch, channels, steps), as it was."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the parent's name
        """`input`, normalized."""
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


def channel_norm(kind: str, channels: int) -> nn.Sequential:
    """`batch` or `layer` normalization of (batch, channels, steps); nothing where `kind` is another."""
    known: dict[str, type[nn.Module]] = {"batch": nn.BatchNorm1d, "layer": ChannelNorm}
    return sequence({kind: known[kind](channels)} if kind in known else {})


class Pooling(nn.Module):
    """One value of each channel from all its steps: (batch, channels, steps) to (batch, channels).

    Args:
        kind: the `last` step, the `mean`, the `max`, or `attention`: a mean weighted by a softmax over time of each
            step's learned score (Lin et al., ICLR 2017).
        channels: of the input.
    """

    def __init__(self, kind: str, channels: int) -> None:
        super().__init__()
        self.kind = kind
        self.score = nn.Conv1d(channels, 1, 1) if kind == "attention" else None

    def forward(self, inputs: Tensor) -> Tensor:
        """The pooled channels."""
        if self.score is not None:
            return torch.sum(inputs * softmax(self.score(inputs), dim=2), dim=2)
        match self.kind:
            case "last":
                return inputs[:, :, -1]
            case "mean":
                return inputs.mean(2)
            case "max":
                return inputs.amax(2)
            case _:
                raise ValueError(f"pooling {self.kind!r} is unknown")


def scaled(width: object, factor: float) -> int:
    """`width` times `factor`, at least 2, as layers are normalized over their channels."""
    return max(2, round(int(str(width)) * factor))
