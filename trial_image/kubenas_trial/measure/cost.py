"""Parameters and FLOPs of a network."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from kubenas_trial.measure.elementwise import ELEMENTWISE
from kubenas_trial.measure.products import PRODUCTS
from kubenas_trial.networks.recurrent import CELLS, Recurrent

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
