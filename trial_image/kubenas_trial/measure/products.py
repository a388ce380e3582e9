"""Multiply-adds of products: half of what `torch.utils.flop_counter` says of them.

By hand, since that module imports Triton, which takes a tenth as long as torch itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final

import torch
from torch import Tensor

_aten = torch.ops.aten


def _matrix(left: Tensor, _right: Tensor, *_: Any, out_val: Tensor, **__: Any) -> int:
    return out_val.numel() * left.shape[-1]


def _matrix_and_sum(_summand: Tensor, left: Tensor, _right: Tensor, *_: Any, out_val: Tensor, **__: Any) -> int:
    return out_val.numel() * left.shape[-1]


def _convolution(
    inputs: Tensor,
    weights: Tensor,
    _bias: Tensor | None,
    _stride: list[int],
    _padding: list[int],
    _dilation: list[int],
    transposed: bool = False,
    *_: Any,
    out_val: Tensor,
    **__: Any,
) -> int:
    positions = (inputs if transposed else out_val).shape[2:]
    return inputs.shape[0] * prod(positions) * weights.numel()


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """Of queries and keys, and of their weights and values; a mask spares nothing."""
    return prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])


PRODUCTS: Final[Mapping[Any, Callable[..., int]]] = {
    **dict.fromkeys((_aten.mm, _aten.bmm), _matrix),
    **dict.fromkeys((_aten.addmm, _aten.baddbmm), _matrix_and_sum),
    **dict.fromkeys((_aten.convolution, _aten.cudnn_convolution), _convolution),
    **dict.fromkeys(
        (
            *(_aten._scaled_dot_product_flash_attention, _aten._scaled_dot_product_flash_attention_for_cpu),
            *(_aten._scaled_dot_product_efficient_attention, _aten._scaled_dot_product_cudnn_attention),
        ),
        _attention,
    ),
}
