"""Parameters, FLOPs and memory of a network."""

from __future__ import annotations

import gc
import logging
import resource
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from kubenas_trial.measure.elementwise import ELEMENTWISE
from kubenas_trial.measure.products import PRODUCTS
from kubenas_trial.networks.recurrent import CELLS, Recurrent

_LOG = logging.getLogger("kubenas_trial")
_PROCESS: Final = Path("/proc/self")
_FORMULAS: Final = {**PRODUCTS, **ELEMENTWISE}


def count_parameters(network: nn.Module) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_flops(network: nn.Module, inputs: Sequence[Tensor]) -> int:
    """FLOPs of one forward pass on `inputs` as papers on architecture search give them.

    Those are the multiply-adds of convolutions, matrix products and attention, half of what torch's formulas say, which
    count a multiplication and an addition as two, and what NAS-Bench-201 counts of normalization, activations and
    pooling.
    """
    training = network.training
    network.eval()
    try:
        with torch.no_grad(), _Counter() as counter, ExitStack() as hooks:
            for module in network.modules():
                if isinstance(module, Recurrent):
                    hooks.callback(module.register_forward_pre_hook(counter.enter_recurrent).remove)
                    hooks.callback(module.register_forward_hook(counter.leave_recurrent).remove)
            network(*inputs)
    finally:
        network.train(training)
    total: int = counter.total
    return total


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums the formulas, as `FlopCounterMode` does by module.

    `FlopCounterMode` imports torch's compiler, which takes seconds in every trial, as does any mode that does not opt
    out as this one does.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total: int = 0
        self._inside = False

    def enter_recurrent(self, _module: nn.Module, _inputs: tuple[Any, ...]) -> None:
        """Count no operations: which ones a recurrent layer has depends on the device and on the library there."""
        self._inside = True

    def leave_recurrent(self, module: nn.Module, inputs: tuple[Any, ...], _outputs: Any) -> None:
        """Count the layer by what it computes: inputs (batch, channels, steps)."""
        assert isinstance(module, Recurrent)  # noqa: S101 - hooked so
        self._inside = False
        self.total += recurrent_flops(module, inputs[0].shape[0] * inputs[0].shape[2])

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self._inside:
            return result
        if formula := _FORMULAS.get(func._overloadpacket):
            self.total += formula(*args, **kwargs, out_val=result)
        return result

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


def recurrent_flops(layer: Recurrent, steps: int) -> int:
    """FLOPs of `layer` over `steps` of all series together: its weights' multiply-adds and its activations."""
    cell = CELLS[layer.cell]
    each = layer.width * (cell.gates * (layer.in_channels + layer.width) + cell.activations)
    return steps * layer.directions * each


def reset_peak_memory(device: torch.device) -> None:
    """Have `peak_memory_mb` count from here, so that no candidate inherits the peak of an earlier one."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        # 5 resets the peak alone, see proc_pid_clear_refs(5).
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")
    except OSError as error:
        _LOG.warning("peak_memory_mb is that of all candidates so far: the peak cannot be reset here (%s)", error)


def peak_memory_mb(device: torch.device) -> float:
    """Most memory in use since `reset_peak_memory`, in MB (10^6 bytes): of a GPU by tensors, else of the process.

    Of a process it can be no less than what libraries and data take, and what it had not given back by the reset.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    try:
        status = (_PROCESS / "status").read_text(encoding="utf-8")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
