"""FlexiBERT's three kinds of operation, by which tokens exchange information (Tuli et al., arXiv:2205.11656).

All take vectors (batch, length, width) and which of them are tokens, not padding, (batch, length); outputs at
padding are undefined.
"""

from __future__ import annotations

import math
from functools import reduce
from operator import add
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from kubenas_trial.networks.attention import Attention, join_heads, split_heads


class SelfAttention(nn.Module):
    """Attention by scaled dot product, softmax(QKᵀ/√d)V, or weighted multiplicative, softmax(QWKᵀ)V.

    W is a matrix of each head's own, at first 1/√d times the identity, so that both begin alike.
    """

    def __init__(self, width: int, heads: int, *, weighted: bool) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        if weighted:
            self.attention.query = nn.Sequential(self.attention.query, HeadwiseLinear(width, heads))

    def forward(self, inputs: Tensor, present: Tensor) -> Tensor:
        """(batch, length, width)."""
        gathered: Tensor = self.attention(inputs, inputs, present[:, None, None, :])
        return gathered


class HeadwiseLinear(nn.Module):
    """A square matrix of each head's own, at first the identity."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.weight = nn.Parameter(torch.eye(width // heads).repeat(heads, 1, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, length, width) to the same."""
        return join_heads(split_heads(inputs, self.heads) @ self.weight)


class LinearTransform(nn.Module):
    """Fourier (FNet, Lee-Thorp et al., NAACL 2022) or cosine transform over the tokens and within each head.

    Of the Fourier transform the real part. Both are products with constant matrices, as wide as the longest sequence,
    as if all were padded with zeros to that length; so what comes out does not depend on a batch's padding.
    """

    over_tokens: Tensor
    over_channels: Tensor

    def __init__(self, width: int, heads: int, length: int, kind: Literal["DFT", "DCT"]) -> None:
        super().__init__()
        self.heads = heads
        matrices = fourier_matrices if kind == "DFT" else cosine_matrices
        self.register_buffer("over_tokens", matrices(length), persistent=False)
        self.register_buffer("over_channels", matrices(width // heads), persistent=False)
        self.output = nn.Linear(width, width)

    def forward(self, inputs: Tensor, present: Tensor) -> Tensor:
        """(batch, length, width)."""
        length = inputs.shape[1]
        heads = split_heads(inputs * present[:, :, None], self.heads)
        # Two parts, real and imaginary: the real part of the product is their difference, which the sign is for.
        parts = [
            rows[:length, :length] @ (heads @ columns.T)
            for rows, columns in zip(self.over_tokens, self.over_channels, strict=True)
        ]
        transformed: Tensor = self.output(join_heads(reduce(torch.sub, parts)))
        return transformed


def fourier_matrices(size: int) -> Tensor:
    """Real and imaginary part of the unitary Fourier transform, (2, size, size)."""
    positions = torch.arange(size, dtype=torch.float64)
    angles = -2 * math.pi / size * torch.outer(positions, positions)
    return (torch.stack((angles.cos(), angles.sin())) / math.sqrt(size)).float()


def cosine_matrices(size: int) -> Tensor:
    """The orthogonal cosine transform DCT-II, (1, size, size)."""
    positions = torch.arange(size, dtype=torch.float64)
    matrix = torch.outer(positions, 2 * positions + 1).mul(math.pi / (2 * size)).cos() * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.float()[None]


class DynamicSpanConvolution(nn.Module):
    """Span-based dynamic convolution (ConvBERT, Jiang et al., NeurIPS 2020, arXiv:2008.02496).

    Each head weighs the `kernel` values around a token with weights that come from the token and its neighbourhood.
    """

    def __init__(self, width: int, heads: int, kernel: int) -> None:
        super().__init__()
        self.heads, self.kernel = heads, kernel
        self.query = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.span = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width, bias=False)
        self.key = nn.Linear(width, width)
        self.weights = nn.Linear(width, heads * kernel)
        self.output = nn.Linear(width, width)

    def forward(self, inputs: Tensor, present: Tensor) -> Tensor:
        """(batch, length, width)."""
        batch, length, _ = inputs.shape
        inputs = inputs * present[:, :, None]
        key = self.key(self.span(inputs.transpose(1, 2)).transpose(1, 2))
        weights = self.weights(self.query(inputs) * key).reshape(batch, length, self.heads, self.kernel).softmax(3)
        values = pad(self.value(inputs) * present[:, :, None], (0, 0, self.kernel // 2, self.kernel // 2))
        values = values.reshape(batch, length + 2 * (self.kernel // 2), self.heads, -1)
        weighted = [weights[:, :, :, tap, None] * values[:, tap : tap + length] for tap in range(self.kernel)]
        gathered: Tensor = self.output(reduce(add, weighted).flatten(2))
        return gathered


def mixer(operation: str, width: int, heads: int, length: int) -> nn.Module:
    """The operation called as in the preset `bert-encoder`, such as SA/WMA, LT/DFT or DSC/9."""
    match operation.split("/"):
        case ["SA", ("SDP" | "WMA") as kind]:
            return SelfAttention(width, heads, weighted=kind == "WMA")
        case ["LT", ("DFT" | "DCT") as kind]:
            return LinearTransform(width, heads, length, kind)
        case ["DSC", kernel]:
            return DynamicSpanConvolution(width, heads, int(kernel))
        case _:
            raise ValueError(f"operation {operation!r} is none of FlexiBERT's")
