"""Statistics of batch normalization for one sub-network (Yu and Huang, ICCV 2019, arXiv:1903.05134)."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from kubenas_trial.datasets.data import shuffled
from kubenas_trial.tasks.base import Task

# Training examples that the statistics are estimated from.
_EXAMPLES: Final = 512


def calibrate(task: Task[Any, Any], network: nn.Module, seed: int) -> None:
    """Estimate the statistics of all batch normalizations of `network` from training examples.

    Weights that are shared have seen the outputs of many sub-networks before them, so no average over the training is
    that of one. Here each statistic is the mean over batches of at most 512 examples in all, which `seed` chooses; the
    rest of the network is in evaluation mode, as it is at the end.
    """
    network.eval()
    if not (norms := batch_norms(network)):
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches
        norm.train()
    examples, size = len(task.data.train), task.settings.batch_size
    # Whole batches, as far as there are any.
    count = examples if examples < size else min(examples, max(_EXAMPLES, size)) // size * size
    torch.manual_seed(seed)
    with torch.no_grad():
        for batch in task.batches(task.data.train, shuffled(examples, seed)[:count]):
            network(*batch.inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """The batch normalizations of `network`."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]
