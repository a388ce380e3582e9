"""Networks: sizes as published, shapes for every architecture."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from kubenas.api.space import SearchSpace
from kubenas.space.base import Value
from kubenas.space.presets.nasbench201 import DECISIONS, OPERATIONS, NASBench201
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.measure.cost import count_flops, count_parameters
from kubenas_trial.networks.base import Images
from kubenas_trial.networks.build import build_network, family_of
from kubenas_trial.networks.cell_graph import CellGraph
from kubenas_trial.networks.mlp import PERCEPTRON
from kubenas_trial.networks.nasbench201 import NASBENCH201, NASBench201Skeleton, cell_graph, nasbench201
from kubenas_trial.networks.operations import operation
from kubenas_trial.optimizers import SGD, AdamW
from tests.properties import examples

SPACE = NASBench201()
DIGITS = Images(1, 8, 8, classes=10)
DATA = Path(os.environ.get("KUBENAS_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
# Millions of parameters with CIFAR-10's stem, as the benchmark publishes them.
PUBLISHED = {
    "|nor_conv_1x1~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|": 0.101306,
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|": 0.129306,
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|": 0.802426,
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|": 1.531546,
}


def parameters_in_millions(architecture: str) -> float:
    with torch.device("meta"):
        network = nasbench201(SPACE.parse(architecture), NASBench201Skeleton(), Images(3, 32, 32, classes=10))
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


@pytest.mark.parametrize(("architecture", "millions"), PUBLISHED.items())
def test_parameters_are_as_published(architecture: str, millions: float) -> None:
    assert parameters_in_millions(architecture) == millions


def costs_in_millions(architecture: Mapping[str, Value]) -> tuple[float, float]:
    """Parameters and FLOPs of the network for CIFAR-10."""
    with torch.device("meta"):
        network = nasbench201(architecture, NASBench201Skeleton(), Images(3, 32, 32, classes=10))
        flops = count_flops(network, (torch.zeros(1, 3, 32, 32),))
    return count_parameters(network) / 1e6, flops / 1e6


def test_costs_of_all_architectures_are_as_in_the_benchmarks_table() -> None:
    table = DATA / "nasbench201.csv"
    if not table.exists():
        pytest.skip(f"no table of published values: {table} is absent (KUBENAS_DATA names its folder)")
    with table.open() as file:
        published = {row["arch"]: (float(row["params_M"]), float(row["flops_M"])) for row in csv.DictReader(file)}
    # Networks are measured where all edges have one operation. That costs add up over edges is seen on whole networks.
    empty = costs_in_millions(dict.fromkeys(DECISIONS, "none"))
    edge = {
        name: tuple(
            (full - rest) / 6
            for full, rest in zip(costs_in_millions(dict.fromkeys(DECISIONS, name)), empty, strict=True)
        )
        for name in OPERATIONS
    }

    def summed(architecture: Mapping[str, Value]) -> tuple[float, ...]:
        costs = [edge[str(operation)] for operation in architecture.values()]
        return tuple(rest + sum(each) for rest, each in zip(empty, zip(*costs, strict=True), strict=True))

    for text in Random(0).sample(sorted(published), 6):
        assert costs_in_millions(SPACE.parse(text)) == pytest.approx(summed(SPACE.parse(text)), rel=1e-9)
    assert len(published) == 15_625
    for text, (params, flops) in published.items():
        found = summed(SPACE.parse(text))
        assert found[0] == pytest.approx(params, rel=1e-6), text
        # 1,088 operations that no rule of ours has are in each published figure.
        assert found[1] == pytest.approx(flops, rel=2e-4), text


@examples(25)
@given(st.randoms(use_true_random=False), st.integers(1, 4), st.integers(1, 2))
def test_every_cell_makes_a_network_that_learns(rng: Random, channels: int, cells: int) -> None:
    settings = {"channels": channels, "cellsPerStack": cells}
    network = build_network(SPACE.sample(rng), NASBENCH201, settings, DIGITS)
    logits = network(torch.randn(4, 1, 8, 8))
    assert logits.shape == (4, 10)
    logits.sum().backward()
    assert isinstance(network, nn.Sequential)
    assert all(p.grad is not None for p in network[-1].parameters())


def cell_of(architecture: Mapping[str, Value]) -> CellGraph:
    return CellGraph(cell_graph(architecture), 1, lambda name, _: operation(name, 2))


def test_a_cell_computes_the_sum_of_its_paths() -> None:
    cell = cell_of(
        {"0-1": "skip_connect", "0-2": "none", "0-3": "skip_connect", "1-2": "skip_connect", "1-3": "none"}
        | {"2-3": "skip_connect"}
    )
    inputs = torch.randn(1, 2, 4, 4)
    assert torch.equal(cell(inputs), 2 * inputs)


def test_a_cell_without_a_path_gives_zeros() -> None:
    edges = ("0-1", "0-2", "0-3", "1-2", "1-3", "2-3")
    cell = cell_of(dict.fromkeys(edges, "none") | {"0-1": "skip_connect"})
    assert not cell(torch.ones(1, 2, 4, 4)).any()


@given(
    hidden=st.integers(1, 16),
    layers=st.integers(1, 4),
    activation=st.sampled_from(["relu", "gelu", "silu", "tanh"]),
    dropout=st.floats(0, 0.9),
)
def test_a_perceptron_has_the_decided_size(hidden: int, layers: int, activation: str, dropout: float) -> None:
    decisions: dict[str, Value] = {"hidden": hidden, "layers": layers, "activation": activation, "dropout": dropout}
    network = build_network(decisions, PERCEPTRON, {}, Images(1, 2, 3, classes=5))
    assert isinstance(network, nn.Sequential)
    assert network(torch.randn(4, 1, 2, 3)).shape == (4, 5)
    expected = (6 + 1) * hidden + (layers - 1) * (hidden + 1) * hidden + (hidden + 1) * 5
    assert sum(parameter.numel() for parameter in network.parameters()) == expected
    assert sum(isinstance(layer, nn.Dropout) for layer in network) == (layers if dropout else 0)


@pytest.mark.parametrize(
    ("decisions", "text"),
    [
        ({"width": 3}, "architecture.width: is unknown, choose of activation, dropout, hidden, layers"),
        ({"hidden": 0}, "architecture.hidden: Input should be greater than or equal to 1, got 0"),
        (
            {"activation": "sine"},
            "architecture.activation: Input should be 'relu', 'gelu', 'silu' or 'tanh', got 'sine'",
        ),
    ],
)
def test_an_impossible_decision_is_named(decisions: dict[str, Value], text: str) -> None:
    with pytest.raises(InvalidTrialError) as refused:
        build_network(decisions, PERCEPTRON, {}, DIGITS)
    assert str(refused.value) == text


def test_a_choice_of_numbers_is_read_as_numbers() -> None:
    network = build_network({"hidden": "32"}, PERCEPTRON, {}, DIGITS)
    assert isinstance(network, nn.Sequential)
    assert network[1].out_features == 32


def test_a_size_that_a_family_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidTrialError, match=r"task\.settings\.network\.channels: is unknown, choose of none"):
        build_network({"hidden": 3}, PERCEPTRON, {"channels": 3}, DIGITS)


def test_a_space_without_a_family_is_refused_with_those_that_have_one() -> None:
    space = SearchSpace(preset="unet")
    with pytest.raises(InvalidTrialError, match="no network of unet for image-classification, only of nasbench201"):
        family_of(space, {"nasbench201": NASBENCH201}, "image-classification")


@pytest.mark.parametrize(
    ("own", "theirs", "settings"),
    [
        (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
        (AdamW, torch.optim.AdamW, {"lr": 0.1, "weight_decay": 0.01}),
    ],
)
def test_optimizers_step_as_torchs_own(
    own: type[torch.optim.Optimizer], theirs: type[torch.optim.Optimizer], settings: dict[str, Any]
) -> None:
    networks = [nn.Linear(3, 2), nn.Linear(3, 2)]
    networks[1].load_state_dict(networks[0].state_dict())
    optimizers = [kind(network.parameters(), **settings) for kind, network in zip((own, theirs), networks, strict=True)]
    for _ in range(3):
        inputs = torch.randn(4, 3)
        for network, optimizer in zip(networks, optimizers, strict=True):
            network.zero_grad()
            network(inputs).square().sum().backward()
            optimizer.step()
    assert torch.equal(networks[0].weight, networks[1].weight)
