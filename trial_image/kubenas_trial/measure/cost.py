"""What a network costs, whatever it is trained on."""

from __future__ import annotations

import resource
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_flops(network: nn.Module, inputs: Sequence[Tensor]) -> int:
    """Multiply-adds of one forward pass on `inputs`: convolutions, matrix products and attention.

    Half of what torch's own counter says, which counts a multiplication and an addition as two; papers on architecture
    search mostly mean multiply-adds by FLOPs.
    """
    training = network.training
    network.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(*inputs)
    finally:
        network.train(training)
    return int(counter.get_total_flops()) // 2


def peak_memory_mb(device: torch.device) -> float:
    """Most memory in use so far, in MB (10^6 bytes): of the GPU by torch's tensors, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
