"""A network that may be changed without a copy of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final

import torch
from torch import Tensor, nn

_CONTAINERS: Final = frozenset({dict, OrderedDict, list, set})


@contextmanager
def unchanged(network: nn.Module) -> Iterator[None]:
    """Whatever is done to `network` within, it is afterwards as it was before.

    Within, its parameters and buffers have values of their own, in the layout `channels_last`, and no gradients. What
    modules refer to may be replaced, and their containers (of parameters, of hooks, lists of their own) filled or
    emptied; other objects that they refer to stay as they are left. A deep copy of a small network takes longer than
    most proxies, as torch makes many objects for each module.
    """
    attributes = [(module.__dict__, dict(module.__dict__)) for module in network.modules()]
    containers = [(each, each.copy()) for _, own in attributes for each in own.values() if type(each) in _CONTAINERS]
    tensors: dict[int, tuple[Tensor, Tensor, Tensor | None, bool]] = {}
    for tensor in chain(network.parameters(), network.buffers()):
        tensors[id(tensor)] = tensor, tensor.data, tensor.grad, tensor.requires_grad
        tensor.grad = None
        # Convolutions on a CPU take two thirds of the time with this layout, and no longer on a GPU.
        layout = torch.channels_last if tensor.dim() == 4 else torch.preserve_format
        tensor.data = tensor.data.clone(memory_format=layout)
    try:
        yield
    finally:
        for present, before in attributes:
            present.clear()
            present.update(before)
        for present, before in containers:
            # Most are empty all the time.
            if present or before:
                _refill(present, before)
        for tensor, data, gradient, learns in tensors.values():
            tensor.grad = None
            tensor.data = data
            tensor.requires_grad_(learns)
            tensor.grad = gradient


def _refill(container: Any, contents: Any) -> None:
    container.clear()
    fill: Callable[[Any], None] = container.extend if isinstance(container, list) else container.update
    fill(contents)
