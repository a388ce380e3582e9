"""Parts of transformers (Vaswani et al., NeurIPS 2017, arXiv:1706.03762), with widths that an architecture decides."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class KeyValues(NamedTuple):
    """What is attended to: `keys` and `values`, each (batch, heads, length, size)."""

    keys: Tensor
    values: Tensor

    def followed_by(self, other: KeyValues) -> KeyValues:
        """Both, one after the other in length."""
        return KeyValues(torch.cat((self.keys, other.keys), dim=2), torch.cat((self.values, other.values), dim=2))

    def of(self, kept: Tensor) -> KeyValues:
        """That of the `kept` examples (mask or indices of the batch)."""
        return KeyValues(self.keys[kept], self.values[kept])


class Attention(nn.Module):
    """Multi-head attention from vectors of `width` to a memory of vectors of `memory_width` (absent: `width`).

    Queries, keys and values are `inner` wide in total (absent: `width`), so `heads` must divide that. Weights are not
    dropped out, as then no fused kernel serves and a CPU takes a third longer.
    """

    def __init__(self, width: int, heads: int, *, inner: int | None = None, memory_width: int | None = None) -> None:
        super().__init__()
        inner = width if inner is None else inner
        memory_width = width if memory_width is None else memory_width
        if inner % heads:
            raise ValueError(f"{heads} heads do not divide {inner} channels")
        self.heads = heads
        self.query: nn.Module = nn.Linear(width, inner)
        self.key = nn.Linear(memory_width, inner)
        self.value = nn.Linear(memory_width, inner)
        self.output = nn.Linear(inner, width)

    def forward(self, inputs: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        """The output of attention at each position of `inputs`.

        Args:
            inputs: (batch, length, width).
            memory: (batch, memory length, memory width); for self-attention the same as `inputs`.
            mask: true where a position may attend, broadcast to (batch, heads, length, memory length); to one at least.
        """
        return self.gather(inputs, self.key_values(memory), mask)

    def key_values(self, memory: Tensor) -> KeyValues:
        """The keys and values of `memory`."""
        return KeyValues(split_heads(self.key(memory), self.heads), split_heads(self.value(memory), self.heads))

    def gather(self, inputs: Tensor, memory: KeyValues, mask: Tensor | None = None) -> Tensor:
        """As `forward`, with precomputed keys and values."""
        query = split_heads(self.query(inputs), self.heads)
        gathered = scaled_dot_product_attention(query, memory.keys, memory.values, attn_mask=mask)
        outputs: Tensor = self.output(join_heads(gathered))
        return outputs


def split_heads(inputs: Tensor, heads: int) -> Tensor:
    """(batch, length, heads times size) to (batch, heads, length, size)."""
    batch, length, _ = inputs.shape
    return inputs.reshape(batch, length, heads, -1).transpose(1, 2)


def join_heads(inputs: Tensor) -> Tensor:
    """(batch, heads, length, size) to (batch, length, heads times size)."""
    return inputs.transpose(1, 2).flatten(2)


def padding_mask(tokens: Tensor, padding: int) -> Tensor:
    """(batch, length) to the mask (batch, 1, 1, length) that is true where there is no `padding`."""
    return (tokens != padding)[:, None, None, :]


def causal_mask(length: int, device: torch.device | None = None) -> Tensor:
    """The mask (length, length) by which each position attends to itself and what is before it."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


class FeedForward(nn.Sequential):
    """Dense layers at each position: `width` to `inner` and back, with GELU between.

    With `layers` of 2 or more there are as many hidden layers (FlexiBERT's stacks).
    """

    def __init__(self, width: int, inner: int, *, layers: int = 1) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        before = width
        for layer in range(layers):
            parts |= {f"hidden{layer}": nn.Linear(before, inner), f"activation{layer}": nn.GELU()}
            before = inner
        super().__init__(parts | {"output": nn.Linear(before, width)})


class TransformerLayer(nn.Module):
    """Self-attention, then a feed-forward part of `hidden` units, each on normalised inputs and added to them.

    Queries, keys and values are `inner` wide in total (absent: `width`). `attention` takes the place of that, if given.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        inner: int | None = None,
        attention: Attention | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, inner=inner) if attention is None else attention
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, length, width) to the same; `mask` is true where a position may attend, as in `Attention`."""
        normalised = self.attention_norm(inputs)
        inputs = inputs + self.dropout(self.attention(normalised, normalised, mask))
        outputs: Tensor = inputs + self.dropout(self.feed_forward(self.feed_forward_norm(inputs)))
        return outputs


class Sinusoids(nn.Module):
    """Adds sinusoidal positions, which are not learned, to (batch, at most `length`, width)."""

    table: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
        angles = torch.arange(length)[:, None] * rates
        table = torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1)[:, :width]
        self.register_buffer("table", table, persistent=False)

    def forward(self, inputs: Tensor, start: int = 0) -> Tensor:
        """`inputs` and their positions, of which the first is `start`."""
        return inputs + self.table[start : start + inputs.shape[1]]


class Positions(nn.Module):
    """Adds learned positions to (batch, at most `length`, width)."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(length, width) * 0.02)

    def forward(self, inputs: Tensor) -> Tensor:
        """`inputs` and their positions."""
        return inputs + self.table[: inputs.shape[1]]


def scaled(size: int, factor: float, multiple: int = 8) -> int:
    """`size` times `factor` as a multiple of `multiple`, so that heads divide it; at least one such."""
    return max(multiple, round(size * factor / multiple) * multiple)
