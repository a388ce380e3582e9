"""No network of any task, however narrow, normalizes a value by itself alone: that comes out as 0, whatever it was."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from random import Random

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn

from kubenas.api.space import SearchSpace
from kubenas.space.load import build_space
from kubenas_trial.networks.build import build_network, family_of
from kubenas_trial.tasks.load import task_class
from tests.properties import examples
from tests.trial.test_exports import CASES, KINDS
from tests.trial.test_image_networks import OWN

NORMALIZATIONS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
# The least that skeletons take; others take factors, of which one is as small as any.
LEAST = {"channels", "hidden", "cells", "cellsPerStack"}


def values_of_a_statistic(module: nn.Module, inputs: Tensor) -> int:
    match module:
        case nn.LayerNorm():
            return prod(module.normalized_shape)
        case nn.GroupNorm():
            return inputs[0].numel() // module.num_groups
        case nn.modules.instancenorm._InstanceNorm():
            return inputs[0, 0].numel()
        case _:
            return inputs.numel() // inputs.shape[1]


def watched(alone: list[str], name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def watch(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if values_of_a_statistic(module, inputs[0]) < 2:
            alone.append(f"{name} {module} of {tuple(inputs[0].shape)}")

    return watch


@pytest.mark.parametrize(("name", "preset"), CASES)
@examples(4)
@given(st.integers(0, 2**32))
@example(0)
@example(1)
def test_no_value_is_normalized_by_itself(name: str, preset: str, seed: int) -> None:
    """Training has two examples at once at least."""
    task, _, own = name.partition(" ")
    kind = KINDS[name]
    spec = SearchSpace.model_validate(OWN.get(own, {"preset": own or preset}))
    small = {key: value if key in LEAST else 1e-3 for key, value in kind.small.items()}
    family = family_of(spec, task_class(task).families, task)
    network = build_network(build_space(spec).sample(Random(seed)), family, small, kind.interface)
    alone: list[str] = []
    for at, module in network.named_modules():
        if isinstance(module, NORMALIZATIONS):
            module.register_forward_pre_hook(watched(alone, at))
    with torch.no_grad():
        network(*kind.inputs(2))
    assert alone == []
