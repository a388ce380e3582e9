"""FLOPs against an independent count."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch._ops import OpOverloadPacket
from torch.utils.flop_counter import flop_registry

from kubenas_trial.measure.cost import count_flops
from kubenas_trial.measure.products import PRODUCTS
from kubenas_trial.networks.base import Series
from kubenas_trial.networks.build import build_network
from kubenas_trial.networks.recurrent import CELLS, Recurrent
from kubenas_trial.networks.rnn import RNN

aten = torch.ops.aten
# Activations of a state's value in one step.
ACTIVATIONS = {"rnn": 1, "gru": 3, "lstm": 5}


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_each_weight_of_a_recurrent_layer_is_a_multiply_add_of_each_step(
    cell: str, bidirectional: bool, device: str
) -> None:
    steps, width = 7, 6
    with torch.device(device):
        layer = Recurrent(cell, 5, width, 1 + bidirectional)
    weights = sum(weight.numel() for name, weight in layer.named_parameters() if name.startswith("weight"))
    states = width * (1 + bidirectional)
    flops = count_flops(layer, (torch.zeros(2, 5, steps, device=device),))
    assert flops == 2 * steps * (weights + ACTIVATIONS[cell] * states)


def test_kinds_of_cells_compare_as_their_gates() -> None:
    series = Series(channels=6, steps=17, classes=3)
    costs = {
        cell: count_flops(build_network({**RNN.default, "cell": cell}, RNN, {}, series), (torch.zeros(1, 6, 17),))
        for cell in ("rnn", "gru", "lstm")
    }
    # What is around the cells is the same of all: a gate more costs as much each time, but for the state's activation.
    steps, states = 9, 2 * 64
    gate = (costs["gru"] - costs["rnn"]) / 2
    assert costs["lstm"] == costs["gru"] + gate + steps * states


@pytest.mark.parametrize(
    ("module", "shape", "flops"),
    [
        (nn.GroupNorm(2, 4), (1, 4, 3, 3), 2 * 36),
        (nn.LayerNorm(4), (3, 4), 2 * 12),
        (nn.InstanceNorm2d(4), (1, 4, 3, 3), 2 * 36),
        (nn.LeakyReLU(), (1, 4), 4),
        (nn.Hardsigmoid(), (1, 4), 4),
        (nn.ConvTranspose2d(4, 6, 2, stride=2), (1, 4, 3, 3), 4 * 6 * 4 * 9),
        (nn.Conv2d(4, 4, 3, padding=1, groups=4), (1, 4, 3, 3), 4 * 9 * 9),
        (nn.Conv1d(4, 6, 3, padding=2, dilation=2), (1, 4, 9), 4 * 6 * 3 * 9),
        (nn.Linear(4, 6), (5, 4), 5 * 4 * 6),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_kinds_of_modules_against_a_count_by_hand(module: nn.Module, shape: tuple[int, ...], flops: int) -> None:
    assert count_flops(module, (torch.zeros(shape),)) == flops


class Attention(nn.Module):
    def __init__(self, masked: bool) -> None:
        super().__init__()
        self.masked = masked

    def forward(self, query: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        mask = torch.ones(query.shape[2], memory.shape[2], dtype=torch.bool) if self.masked else None
        return nn.functional.scaled_dot_product_attention(query, memory, memory, attn_mask=mask)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_two_products(masked: bool) -> None:
    heads, queries, keys, width = 2, 5, 7, 8
    inputs = (torch.zeros(1, heads, queries, width), torch.zeros(1, heads, keys, width))
    assert count_flops(Attention(masked), inputs) == 2 * heads * queries * keys * width


PRODUCT = st.integers(1, 5)


@given(st.data())
def test_products_are_counted_as_torch_does(data: st.DataObject) -> None:
    batch, rows, inner, columns = (data.draw(PRODUCT) for _ in range(4))
    left, right = torch.zeros(batch, rows, inner), torch.zeros(batch, inner, columns)
    groups, transposed = data.draw(PRODUCT), data.draw(st.booleans())
    weights = torch.zeros(2 * groups, 3, 2, 1)
    images = torch.zeros(batch, (2 if transposed else 3) * groups, 6, 5)
    heads = (batch, 2, rows, inner), (batch, 2, columns, inner), (batch, 2, columns, inner)
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (aten.mm, (left[0], right[0])),
        (aten.bmm, (left, right)),
        (aten.addmm, (torch.zeros(columns), left[0], right[0])),
        (aten.baddbmm, (torch.zeros(batch, rows, columns), left, right)),
        (aten.convolution, (images, weights, None, [2, 1], [1, 0], [1, 2], transposed, [0, 0], groups)),
        (aten._scaled_dot_product_flash_attention_for_cpu, tuple(map(torch.zeros, heads))),
    ]
    for operation, arguments in calls:
        result = operation(*arguments)
        assert 2 * PRODUCTS[operation](*arguments, out_val=result) == flop_registry[operation](
            *arguments, out_val=result
        )


def test_all_forward_products_that_torch_knows_are_counted() -> None:
    of_tensors = {operation for operation in flop_registry if isinstance(operation, OpOverloadPacket)}
    forward = {operation for operation in of_tensors if not str(operation).endswith("_backward")}
    # Of 8-bit floats, nested tensors, the just-in-time compiler, and devices that no network here runs on.
    others = {
        *(aten._scaled_mm, aten._flash_attention_forward, aten._efficient_attention_forward),
        *(aten._convolution, aten._slow_conv2d_forward, aten.convolution_overrideable),
    }
    assert forward - others == set(PRODUCTS)
