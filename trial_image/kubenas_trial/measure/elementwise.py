"""What torch's FLOP counter leaves out: normalization, activations, pooling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final

import torch
from torch import Tensor

_aten = torch.ops.aten
_ACTIVATIONS = (
    *(_aten.relu, _aten.hardtanh, _aten.hardswish, _aten.hardsigmoid),
    *(_aten.gelu, _aten.silu, _aten.tanh, _aten.sigmoid, _aten.leaky_relu),
)


def _per_output(operations: int) -> Callable[..., int]:
    def formula(*_: Any, out_val: Tensor | tuple[Tensor, ...], **__: Any) -> int:
        output = out_val if isinstance(out_val, Tensor) else out_val[0]
        return operations * output.numel()

    return formula


def _window(_inputs: Tensor, size: list[int], *_: Any, out_val: Tensor | tuple[Tensor, ...], **__: Any) -> int:
    output = out_val if isinstance(out_val, Tensor) else out_val[0]
    return output.numel() * (prod(size) if len(size) > 1 else int(size[0]) ** 2)


def _per_input(inputs: Tensor, *_: Any, **__: Any) -> int:
    return inputs.numel()


# Operations by NAS-Bench-201's rules (Dong and Yang, ICLR 2020): of a normalized value two, of an activation one, of a
# pooled value as many as its window has elements.
ELEMENTWISE: Final[Mapping[Any, Callable[..., int]]] = {
    **dict.fromkeys((_aten.native_batch_norm, _aten.cudnn_batch_norm, _aten.native_layer_norm), _per_output(2)),
    _aten.native_group_norm: _per_output(2),
    **dict.fromkeys(_ACTIVATIONS, _per_output(1)),
    **dict.fromkeys((_aten.avg_pool2d, _aten.max_pool2d_with_indices), _window),
    _aten.mean: _per_input,
}
