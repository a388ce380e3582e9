"""A supernet holds every network of its space: each one's parameters are parts of those that all share."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture
from kubenas.space.load import build_space
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.networks.base import Images
from kubenas_trial.networks.build import family_of
from kubenas_trial.supernets.covering import union
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.supernet import Supernet
from kubenas_trial.tasks.image_classification import ImageClassification
from tests.properties import examples
from tests.trial.supernets.spaces import NAMES, networks_of, supernet_of
from tests.trial.test_parameter_names import SPACES


@pytest.mark.parametrize("name", NAMES)
@examples(10)
@given(st.integers(0, 2**32))
def test_every_architecture_computes_what_a_network_of_its_own_with_its_part_of_the_weights_does(
    name: str, seed: int
) -> None:
    space, supernet = SPACES[name], supernet_of(name)
    architecture = space.space.sample(Random(seed))
    torch.manual_seed(seed)
    alone = space.network(architecture)
    found = alone.load_state_dict(supernet.weights(architecture), strict=False)
    assert not found.unexpected_keys
    assert {key.rpartition(".")[2] for key in found.missing_keys} <= {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }
    inputs = space.kind.inputs(3)
    with torch.no_grad():
        expected = alone.eval()(*inputs)
        assert torch.equal(supernet.subnetwork(architecture).eval()(*inputs), expected)


@pytest.mark.parametrize("name", NAMES)
def test_no_shared_parameter_is_larger_than_a_network_has_it_nor_without_values(name: str) -> None:
    space, supernet = SPACES[name], supernet_of(name)
    rng = Random(0)
    for parameter in supernet.parameters():
        assert bool(parameter.isfinite().all())
    total = sum(parameter.numel() for parameter in supernet.parameters())
    largest = max(supernet.networks.size(space.space.sample(rng)) for _ in range(20))
    assert total >= largest


def test_each_shared_parameter_is_as_large_as_the_largest_of_all_networks() -> None:
    # A layer's input is as wide as the nearest stage before it that has blocks.
    narrow: dict[str, Any] = {"depth": [0, 1], "width": [4, 6], "operation": ["conv", "sep_conv", "skip"]}
    stages: list[dict[str, Any]] = [{"name": "a", "depth": [1], "width": [4, 8], "operation": ["conv"]}]
    stages += [{"name": name} | narrow for name in ("b", "c")]
    stages += [{"name": "d", "depth": [1], "expansion": [2, 3], "operation": ["mbconv", "fused_mbconv", "residual"]}]
    spec = SearchSpace.model_validate({"macro": {"stages": stages}})
    networks = Networks(family_of(spec, ImageClassification.families, "image-classification"), {}, Images(1, 8, 8, 10))
    space = build_space(spec)
    largest: dict[str, torch.Size] = {}
    for architecture in space.enumerate() or ():
        for name, shape in networks.shapes(architecture).items():
            largest[name] = torch.Size(map(max, largest.get(name, shape), shape))
    assert len(largest) > 50
    assert {name: shape for name, (shape, _) in union(space, networks).items()} == largest


def test_what_a_subnetwork_learns_its_part_of_the_shared_parameters_has_learned() -> None:
    space = SPACES["nasbench201"]
    supernet = Supernet.of(space.space, networks_of("nasbench201"), torch.device("cpu"))
    cell = dict.fromkeys(["0-1", "0-2", "0-3", "1-2", "1-3", "2-3"], "skip_connect")
    architecture = space.space.parse({**cell, "0-1": "nor_conv_3x3"})
    before = {name: parameter.clone() for name, parameter in supernet.named_parameters()}
    optimizer = torch.optim.SGD(supernet.parameters(), lr=1.0)
    supernet.subnetwork(architecture)(*space.kind.inputs(4)).square().sum().backward()
    optimizer.step()
    changed = {name for name, parameter in supernet.named_parameters() if not torch.equal(parameter, before[name])}
    of_edges = {name.partition("edges.")[2].rpartition(".")[0] for name in changed if ".edges." in name}
    assert of_edges == {"0-1.nor_conv_3x3.1", "0-1.nor_conv_3x3.2"}
    assert "trees.0.output.weight" in changed
    torch.testing.assert_close(
        supernet.weights(architecture)["output.weight"], dict(supernet.named_parameters())["trees.0.output.weight"]
    )


def test_a_smaller_kernel_is_the_centre_of_a_larger_one() -> None:
    space, supernet = SPACES["mobilenet-ofa"].space, supernet_of("mobilenet-ofa")
    drawn = space.sample(Random(0))
    kernels = {
        size: supernet.weights(Architecture({**drawn, "unit1_kernel.0": size}))[
            f"unit1.0.body.depthwise.k{size}.weight"
        ]
        for size in (3, 5, 7)
    }
    assert torch.equal(kernels[3], kernels[5][:, :, 1:4, 1:4])
    assert torch.equal(kernels[5], kernels[7][:, :, 1:6, 1:6])


def test_an_architecture_of_another_space_is_refused() -> None:
    larger = networks_of("vit")
    supernet = supernet_of("vit")
    other = Supernet(
        {name.removeprefix("trees.0."): each.shape for name, each in supernet.named_parameters() if "layers" in name},
        larger,
        torch.device("cpu"),
    )
    with pytest.raises(InvalidTrialError, match=r"the supernet has no start of shape \(1, 1, \d+\): it is of another"):
        other.subnetwork(SPACES["vit"].space.sample(Random(0)))
