"""FLOPs of a whole network of each family, against torch's own count of products and one of all other functions."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from kubenas.api.space import SearchSpace
from kubenas.space.load import build_space
from kubenas_trial.measure.cost import count_flops
from kubenas_trial.networks.build import build_network, family_of
from kubenas_trial.networks.recurrent import Recurrent
from kubenas_trial.tasks.load import task_class
from tests.properties import examples
from tests.trial.test_cost import ACTIVATIONS
from tests.trial.test_exports import CASES, KINDS
from tests.trial.test_image_networks import OWN

ACTIVE = {"relu", "hardtanh", "leaky_relu", "hardswish", "hardsigmoid", "gelu", "silu", "tanh", "sigmoid"}
NORMALIZING = {"batch_norm", "group_norm", "layer_norm", "instance_norm"}
POOLING = {"max_pool2d", "avg_pool2d"}
MEAN = {"mean", "adaptive_avg_pool2d"}


class Functions(TorchFunctionMode):
    """Counts what is no product by the functions that a network calls, and its recurrent layers by their weights."""

    def __init__(self, network: nn.Module, products: FlopCounterMode) -> None:
        super().__init__()
        self.flops = 0
        self._products, self._before = products, -1
        for module in network.modules():
            if isinstance(module, Recurrent):
                module.register_forward_pre_hook(self._enter)
                module.register_forward_hook(self._leave)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").strip("_")
        if self._before >= 0 or not isinstance(result, Tensor):
            return result
        if name in ACTIVE:
            self.flops += result.numel()
        elif name in NORMALIZING:
            self.flops += 2 * result.numel()
        elif name in POOLING:
            window = args[1] if isinstance(args[1], int) else args[1][0]
            self.flops += result.numel() * window**2
        elif name in MEAN:
            self.flops += args[0].numel()
        return result

    def _enter(self, *_: Any) -> None:
        self._before = self._products.get_total_flops()

    def _leave(self, module: Recurrent, inputs: tuple[Tensor, ...], _: Any) -> None:
        self.flops -= (self._products.get_total_flops() - self._before) // 2
        self._before = -1
        weights = sum(each.numel() for name, each in module.named_parameters() if name.startswith("weight"))
        states = ACTIVATIONS[module.cell] * module.width * module.directions
        self.flops += inputs[0].shape[0] * inputs[0].shape[2] * (weights + states)


@pytest.mark.parametrize(("name", "preset"), CASES)
@examples(2)
@given(st.integers(0, 2**32))
def test_a_networks_flops_are_its_products_and_its_other_functions(name: str, preset: str, seed: int) -> None:
    task, _, own = name.partition(" ")
    kind = KINDS[name]
    spec = SearchSpace.model_validate(OWN.get(own, {"preset": own or preset}))
    family = family_of(spec, task_class(task).families, task)
    network = build_network(build_space(spec).sample(Random(seed)), family, kind.small, kind.interface).eval()
    inputs = kind.inputs(2)
    counted = count_flops(network, inputs)
    with torch.no_grad(), FlopCounterMode(display=False) as products, Functions(network, products) as functions:
        network(*inputs)
    assert counted == products.get_total_flops() // 2 + functions.flops
