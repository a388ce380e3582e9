"""Temporal convolutions and recurrent networks: shapes, learning, causality, pooling, ONNX."""

from __future__ import annotations

from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from kubenas.space.base import Space, Value
from kubenas.space.presets.rnn import rnn as rnn_space
from kubenas.space.presets.tcn import tcn as tcn_space
from kubenas_trial.networks.base import AnyFamily, Series
from kubenas_trial.networks.build import build_network
from kubenas_trial.networks.recurrent import CELLS, Recurrent
from kubenas_trial.networks.rnn import RNN
from kubenas_trial.networks.series import Pooling
from kubenas_trial.networks.tcn import TCN, CausalConv, Level
from tests.properties import examples
from tests.trial.exported import assert_same_in_onnxruntime

SERIES = Series(channels=6, steps=17, classes=3)
SMALL = {"width": 0.1}
SPACES: dict[str, tuple[Space, AnyFamily]] = {"tcn": (tcn_space(), TCN), "rnn": (rnn_space(), RNN)}


@examples(15)
@given(st.randoms(use_true_random=False), st.sampled_from(sorted(SPACES)))
def test_every_architecture_makes_a_network_that_learns(rng: Random, kind: str) -> None:
    space, family = SPACES[kind]
    network = build_network(space.sample(rng), family, SMALL, SERIES)
    logits = network(torch.randn(4, 6, 17))
    assert logits.shape == (4, 3)
    logits.square().sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


@pytest.mark.parametrize("kind", SPACES)
def test_the_default_is_in_the_space(kind: str) -> None:
    space, family = SPACES[kind]
    assert dict(space.parse(dict(family.default))) == family.default


def level(steps: int, kernel: int, dilation: int, **changes: Value) -> Level:
    shared: dict[str, Value] = {"normalization": "layer", "activation": "relu", "convolution": "dense", "dropout": 0.0}
    torch.manual_seed(0)
    return Level(2, 3, kernel, dilation, steps, shared | changes)


@given(st.integers(1, 4), st.sampled_from([3, 5]), st.sampled_from(["dense", "separable"]))
def test_a_step_sees_only_what_was_before(dilation: int, kernel: int, convolution: str) -> None:
    steps, looked_at = 20, 12
    inputs = torch.randn(1, 2, steps, requires_grad=True)
    outputs = level(steps, kernel, dilation, convolution=convolution)(inputs)
    [gradient] = torch.autograd.grad(outputs[:, :, looked_at].sum(), inputs)
    seen = gradient.abs().sum((0, 1)) > 0
    assert not seen[looked_at + 1 :].any()
    assert not seen[: max(0, looked_at - 2 * (kernel - 1) * dilation)].any()


def test_taps_before_the_series_begin_are_left_out() -> None:
    convolutions = [
        level(10, kernel=5, dilation=dilation).residual.get_submodule("conv0") for dilation in (1, 3, 9, 10)
    ]
    assert [convolution.past for convolution in convolutions if isinstance(convolution, CausalConv)] == [4, 9, 9, 0]


@given(st.integers(1, 5), st.integers(1, 6))
def test_pooling_is_what_its_name_says(channels: int, steps: int) -> None:
    inputs = torch.randn(2, channels, steps)
    expected = {"last": inputs[..., -1], "mean": inputs.mean(-1), "max": inputs.max(-1).values}
    for kind, values in expected.items():
        torch.testing.assert_close(Pooling(kind, channels)(inputs), values)
    attention = Pooling("attention", channels)
    assert isinstance(attention.score, nn.Conv1d)
    nn.init.zeros_(attention.score.weight)
    torch.testing.assert_close(attention(inputs), inputs.mean(-1))


def decided(kind: str, **changes: Value) -> tuple[dict[str, Value], AnyFamily]:
    space, family = SPACES[kind]
    architecture = dict(family.default) | changes
    space.parse(architecture)
    return architecture, family


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("tcn", {"normalization": "weight", "convolution": "separable", "pooling": "attention"}),
        ("tcn", {"normalization": "layer", "dilation_base": 3, "pooling": "last"}),
        ("rnn", {"cell": "lstm", "pooling": "max", "normalization": "layer"}),
        ("rnn", {}),
    ],
)
def test_onnxruntime_gives_the_same(kind: str, changes: dict[str, Value]) -> None:
    architecture, family = decided(kind, **changes)
    inputs: Tensor = torch.randn(2, 6, 17)
    assert_same_in_onnxruntime(build_network(architecture, family, SMALL, SERIES), [inputs])


def test_parameters_of_recurrent_layers_are_as_the_space_counts_them() -> None:
    space, _ = SPACES["rnn"]
    architecture = space.sample(Random(3))
    network = build_network(architecture, RNN, {"width": 1}, SERIES)
    layers = [module for module in network.modules() if isinstance(module, Recurrent)]
    first_input = sum(weight.numel() for name, weight in layers[0].named_parameters() if "weight_ih" in name)
    counted = sum(weight.numel() for layer in layers for weight in layer.parameters()) - first_input
    assert counted == pytest.approx(space.costs(architecture)["params"])


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_a_recurrent_layer_computes_what_torchs_own_does(cell: str, directions: int) -> None:
    own = Recurrent(cell, 5, 4, directions)
    theirs = CELLS[cell].drawn(5, 4, bidirectional=directions == 2, batch_first=True)
    with torch.no_grad():
        for gates, stacked in zip(own.parameters(), theirs.parameters(), strict=True):
            stacked.copy_(gates.flatten(0, 1))
    inputs = torch.randn(3, 5, 7)
    states = theirs(inputs.transpose(1, 2))[0].unflatten(2, (directions, 4))
    torch.testing.assert_close(own(inputs), states.transpose(2, 3).flatten(2).transpose(1, 2))
