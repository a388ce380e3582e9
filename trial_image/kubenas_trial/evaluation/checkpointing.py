"""Activation checkpointing (Chen et al., 2016, arXiv:1604.06174): memory for time, with the same gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, Final

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

_LISTS: Final = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@contextmanager
def checkpointed(network: nn.Module) -> Iterator[None]:
    """Within, a forward pass of `network` keeps the inputs of its blocks alone; the backward pass computes the rest.

    Each block runs twice, with the same random draws; its running statistics are updated once.
    """
    with ExitStack() as undone:
        for block in blocks(network):
            block.forward = partial(_run, block, block.forward)
            undone.callback(block.__dict__.pop, "forward")
        yield


def blocks(network: nn.Module) -> list[nn.Module]:
    """The blocks of `network`: what its lists hold, such as layers and cells, none within another."""
    return list(_blocks(network, element=False))


def _blocks(module: nn.Module, *, element: bool) -> Iterator[nn.Module]:
    children = list(module.children())
    if not children:
        return
    is_list = isinstance(module, _LISTS)
    simple = isinstance(module, nn.Sequential) and not any(list(child.children()) for child in children)
    if element and (simple or not is_list):
        yield module
        return
    for child in children:
        yield from _blocks(child, element=is_list)


def _run(block: nn.Module, forward: Any, *args: Any, **kwargs: Any) -> Any:
    if not (block.training and torch.is_grad_enabled()):
        return forward(*args, **kwargs)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _frozen_statistics(block)

    return checkpoint(forward, *args, use_reentrant=False, context_fn=contexts, **kwargs)


@contextmanager
def _frozen_statistics(block: nn.Module) -> Iterator[None]:
    """Batch normalization leaves its running statistics as they are."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    before = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
    try:
        for norm, _, count in before:
            norm.momentum = 0.0
            norm.num_batches_tracked = None if count is None else count.clone()
        yield
    finally:
        for norm, momentum, count in before:
            norm.momentum, norm.num_batches_tracked = momentum, count
