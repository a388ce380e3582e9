"""Attention that knows distances rather than positions (Transformer-XL, Dai et al., ACL 2019, arXiv:1901.02860)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from kubenas_trial.networks.attention import Attention, KeyValues, Sinusoids, join_heads, split_heads


class RelativeAttention(Attention):
    """Self-attention to what is before a position, `heads` of `width` in total, within at most `length` positions.

    A score is (q + u)·k + (q + v)·Wr: r are the sinusoids of the distance, W a matrix, u and v vectors of each head.
    """

    table: Tensor

    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__(width, heads)
        self.distance = nn.Linear(width, width, bias=False)
        self.content_bias = nn.Parameter(torch.zeros(width))
        self.distance_bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("table", Sinusoids(length, width).table, persistent=False)

    def gather(self, inputs: Tensor, memory: KeyValues, mask: Tensor | None = None) -> Tensor:
        """As `Attention.gather`; a position attends to none after it, whatever `mask` says of these.

        Raises:
            ValueError: there is no mask: distances to what follows are not defined.
        """
        if mask is None:
            raise ValueError("give a causal mask: there are no distances to positions that follow")
        length = inputs.shape[1]
        query = self.query(inputs)
        distances = split_heads(self.distance(self.table[:length].flip(0))[None], self.heads)
        by_distance = split_heads(query + self.distance_bias, self.heads) @ distances.transpose(2, 3)
        # Row i begins with the distance length - 1, which belongs to no position but of the last row: shifted by
        # length - 1 - i, column j has the distance i - j.
        shifted = pad(by_distance, (1, 0)).reshape(*by_distance.shape[:2], length + 1, length)[:, :, 1:]
        bias = (shifted / math.sqrt(distances.shape[3])).masked_fill(~mask, -math.inf)
        content = split_heads(query + self.content_bias, self.heads)
        gathered = scaled_dot_product_attention(content, memory.keys, memory.values, attn_mask=bias)
        outputs: Tensor = self.output(join_heads(gathered))
        return outputs
