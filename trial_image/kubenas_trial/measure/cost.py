"""What a network costs, whatever it is trained on."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from kubenas_trial.measure.elementwise import ELEMENTWISE


def count_parameters(network: nn.Module) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_flops(network: nn.Module, inputs: Sequence[Tensor]) -> int:
    """FLOPs of one forward pass on `inputs` as papers on architecture search give them.

    Those are the multiply-adds of convolutions, matrix products and attention, half of what torch's formulas say, which
    count a multiplication and an addition as two; and what NAS-Bench-201 counts of normalization, activations and
    pooling.
    """
    training = network.training
    network.eval()
    try:
        with torch.no_grad(), _Counter() as counter:
            network(*inputs)
    finally:
        network.train(training)
    total: int = counter.total
    return total


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums the formulas, as `FlopCounterMode` does by module.

    That one imports torch's compiler, seconds of every trial, as each mode does that does not say what this one says of
    it.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total: int = 0

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if formula := flop_registry.get(func._overloadpacket):
            self.total += int(formula(*args, **kwargs, out_val=result)) // 2
        elif formula := ELEMENTWISE.get(func._overloadpacket):
            self.total += int(formula(*args, **kwargs, out_val=result))
        return result

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


def peak_memory_mb(device: torch.device) -> float:
    """Most memory in use so far, in MB (10^6 bytes): of the GPU by torch's tensors, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
