"""NAS-Bench-Graph's networks: every architecture builds, learns and means what the space says; ONNX."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from kubenas.space.base import Value
from kubenas.space.presets.gnn import OPERATIONS, gnn
from kubenas_trial.networks.base import Graph
from kubenas_trial.networks.build import build_network
from kubenas_trial.networks.gnn import GNN
from tests.properties import examples
from tests.trial.exported import assert_same_in_onnxruntime

SPACE = gnn()
GRAPH = Graph(features=5, classes=3)
SMALL = {"hidden": 4}


def random_graph(nodes: int = 9) -> tuple[Tensor, Tensor]:
    """Features, and edges in both directions without loops; the last node has none."""
    pairs = torch.combinations(torch.arange(nodes - 1))
    chosen = pairs[torch.randperm(len(pairs))[: 2 * nodes]].T
    return torch.randn(nodes, GRAPH.features), torch.cat([chosen, chosen.flip(0)], dim=1)


def one(name: str) -> dict[str, Value]:
    """One operation, and three skips behind it."""
    return {"links": "0123", "operation.0": name, **{f"operation.{node}": "skip" for node in (1, 2, 3)}}


@examples(15)
@given(st.randoms(use_true_random=False), st.booleans())
def test_every_architecture_makes_a_network_that_learns(rng: Random, pre: bool) -> None:
    network = build_network(SPACE.sample(rng), GNN, SMALL | {"pre": pre, "dropout": 0}, GRAPH)
    logits = network(*random_graph())
    assert logits.shape == (9, 3)
    logits.square().sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_architectures_that_are_one_have_as_many_weights() -> None:
    rng = Random(0)
    sizes: dict[str, set[int]] = {}
    ways: Counter[str] = Counter()
    for _ in range(400):
        # Of two operations only, so that chance meets the same network in several ways.
        architecture = SPACE.sample(rng)
        few = {name: value if name == "links" or value == "skip" else "fc" for name, value in architecture.items()}
        network = build_network(few, GNN, SMALL, GRAPH)
        key = SPACE.key(SPACE.parse(few))
        ways[key] += 1
        sizes.setdefault(key, set()).add(sum(weight.numel() for weight in network.parameters()))
    assert ways.most_common(1)[0][1] > 1
    assert all(len(found) == 1 for found in sizes.values())


@pytest.mark.parametrize("name", OPERATIONS[:-1])
def test_only_neighbours_are_heard(name: str) -> None:
    features = torch.randn(4, GRAPH.features, requires_grad=True)
    edges = torch.tensor([[0, 1], [1, 0]])
    # Over some draws of the weights, as ReLU may silence one.
    heard = torch.zeros(4)
    for seed in range(8):
        torch.manual_seed(seed)
        network = build_network(one(name), GNN, SMALL | {"pre": False}, GRAPH).eval()
        [gradient] = torch.autograd.grad(network(features, edges)[0].sum(), features)
        heard += gradient.abs().sum(1)
    assert [bool(each) for each in heard > 0] == [True, name != "fc", False, False]


def test_the_nodes_order_does_not_matter() -> None:
    features, edges = random_graph()
    order = torch.randperm(len(features))
    network = build_network(GNN.default, GNN, SMALL, GRAPH).eval()
    moved = network(features[order], torch.argsort(order)[edges])
    torch.testing.assert_close(moved, network(features, edges)[order])


def test_a_skip_to_the_output_is_read_beside_what_follows() -> None:
    architecture: dict[str, Value] = {
        "links": "0112",
        "operation.0": "fc",
        "operation.1": "skip",
        "operation.2": "fc",
        "operation.3": "skip",
    }
    network = build_network(architecture, GNN, SMALL | {"pre": False}, GRAPH).eval()
    classifier = network.get_submodule("classifier")
    first, second = (network.get_submodule(f"operations.{node}.layer.fc") for node in (1, 3))
    features, edges = random_graph()
    value = torch.relu(first(features))
    expected = classifier([torch.relu(second(value)), value])
    torch.testing.assert_close(network(features, edges), expected)


@pytest.mark.parametrize(
    "operations", [("gat", "gcn", "cheb", "skip"), ("gin", "sage", "arma", "graph")], ids=["looped", "plain"]
)
def test_onnxruntime_gives_the_same(operations: tuple[str, ...]) -> None:
    architecture = {"links": "0012"} | {f"operation.{node}": name for node, name in enumerate(operations)}
    assert_same_in_onnxruntime(build_network(architecture, GNN, SMALL, GRAPH), random_graph())
