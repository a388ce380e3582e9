"""Image classifiers: every architecture learns, sizes are as published."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.models import efficientnet, mobilenetv2

from kubenas.api.space import Preset, SearchSpace
from kubenas.space.load import build_space
from kubenas_trial.architecture import default_architecture
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.measure.cost import count_flops, count_parameters
from kubenas_trial.networks.backbones import Backbone
from kubenas_trial.networks.base import Images
from kubenas_trial.networks.build import build_network, family_of
from kubenas_trial.networks.macro import BLOCKS
from kubenas_trial.networks.mbconv import InvertedResidual
from kubenas_trial.networks.operations import OPERATIONS, operation
from kubenas_trial.tasks.image_classification import ImageClassification
from tests.properties import examples

FAMILIES = ImageClassification.families
SMALL: Mapping[str, Mapping[str, Any]] = {
    "nasbench201": {"channels": 4, "cellsPerStack": 1},
    "nasbench101": {"channels": 8},
    "darts": {"channels": 3, "cells": 3},
    "nasbench-macro": {"width": 0.1},
    "mobilenet-ofa": {"width": 0.1},
    "vit": {"width": 0.1},
    "mlp": {"width": 0.25},
}
ACYCLIC = [[0, 1], [1, 3], [0, 2], [2, 3]]
CHOICES = ["conv_3x3", "sep_conv_5x5", "max_pool_3x3", "none", "skip_connect"]
OWN: Mapping[str, Mapping[str, Any]] = {
    "edges": {"cell": {"nodes": 4, "operations": ["zero", "id", "conv_3x3"], "none": "zero", "skip": "id"}},
    "few edges": {"cell": {"nodes": 4, "operations": CHOICES, "edges": ACYCLIC}},
    "a node that nothing reaches": {"cell": {"nodes": 4, "operations": CHOICES, "edges": [[0, 3], [2, 3]]}},
    "nodes": {"cell": {"nodes": 5, "operations": CHOICES, "operationsOn": "nodes", "edges": [[0, 2], [2, 1], [1, 4]]}},
    "free edges": {"cell": {"nodes": 5, "operations": CHOICES, "operationsOn": "nodes", "maxEdges": 6}},
    "inputs": {"cell": {"nodes": 5, "operations": CHOICES, "inputs": 2}},
    "one input": {"cell": {"nodes": 4, "operations": CHOICES, "inputs": 1, "cells": ["a", "b", "reduction"]}},
    "several": {"cell": {"nodes": 3, "operations": CHOICES, "cells": ["a", "b", "reduction"]}},
    "stages": {
        "macro": {
            "resolution": [8, 16],
            "stages": [
                {"name": "first", "depth": [1, 2], "width": [8, 12], "expansion": [1, 2.5], "kernel": [3, 5]},
                {"name": "second", "depth": [0, 2], "operation": ["conv", "sep_conv", "residual", "mb3_k5", "skip"]},
                {"name": "third", "depth": [1], "operation": ["mbconv", "fused_mbconv", "id"], "expansion": [2, 3]},
            ],
        }
    },
    "plain": {"macro": {"stages": [{"name": "a", "depth": [1, 3]}, {"name": "b", "depth": [2], "kernel": [3, 7]}]}},
}
SIZES = st.sampled_from([Images(1, 8, 8, 10), Images(3, 13, 10, 3), Images(3, 32, 32, 5)])


def space_of(kind: str) -> SearchSpace:
    return SearchSpace.model_validate(OWN.get(kind, {"preset": kind}))


def random_network(kind: str, seed: int, images: Images) -> nn.Module:
    spec = space_of(kind)
    torch.manual_seed(seed)
    family = family_of(spec, FAMILIES, "image-classification")
    own = {"channels": 4} if kind in OWN else SMALL[kind]
    return build_network(build_space(spec).sample(Random(seed)), family, own, images)


def example(images: Images, count: int) -> Tensor:
    return torch.randn(count, images.channels, images.height, images.width)


@pytest.mark.parametrize("kind", [*SMALL, *OWN])
@examples(8)
@given(st.integers(0, 2**32), SIZES)
def test_every_architecture_makes_a_network_that_learns(kind: str, seed: int, images: Images) -> None:
    network = random_network(kind, seed, images)
    outputs = network(example(images, 4))
    assert outputs.shape == (4, images.classes)
    outputs.square().sum().backward()
    last = list(network.parameters())[-1]
    assert last.grad is not None
    assert bool(last.grad.isfinite().all())
    if kind in SMALL and kind != "nasbench201":  # where published sizes have edges that lead nowhere
        assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("kind", [*SMALL, *OWN])
def test_the_default_is_an_architecture_of_the_space(kind: str) -> None:
    spec = space_of(kind)
    family = family_of(spec, FAMILIES, "image-classification")
    if kind in SMALL:
        assert dict(build_space(spec).parse(dict(family.default))) == dict(family.default)
    images = Images(1, 8, 8, 10)
    network = build_network(default_architecture(build_space(spec), family.default), family, {}, images)
    assert network(example(images, 2)).shape == (2, 10)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 5), (1, 2)])
def test_operations_divide_sides_rounded_up(name: str, stride: int, height: int, width: int) -> None:
    outputs = operation(name, 4, stride)(torch.randn(2, 4, height, width))
    assert outputs.shape == (2, 4, -(-height // stride), -(-width // stride))


def test_an_operation_of_a_cell_that_is_unknown_is_named() -> None:
    spec = SearchSpace.model_validate({"cell": {"nodes": 3, "operations": ["conv_3x3", "magic"]}})
    with pytest.raises(InvalidTrialError, match=r"searchSpace\.cell\.operations\[1\]: 'magic' is unknown .*conv_3x3"):
        family_of(spec, FAMILIES, "image-classification")


@pytest.mark.parametrize(
    ("decided", "text"),
    [
        ({"operation": ["magic"]}, r"stages\.a\.operation: 'magic' is unknown .*mbconv.*mb6_k5"),
        ({"kernel": [4]}, r"stages\.a\.kernel: 4 is even"),
    ],
)
def test_a_block_that_is_impossible_is_named(decided: dict[str, Any], text: str) -> None:
    spec = SearchSpace.model_validate({"macro": {"stages": [{"name": "a", "depth": [1], **decided}]}})
    architecture = build_space(spec).sample(Random(0))
    with pytest.raises(InvalidTrialError, match=text):
        build_network(architecture, family_of(spec, FAMILIES, ""), {}, Images(1, 8, 8, 10))


def network_of(preset: str, document: Any, skeleton: Mapping[str, Any], images: Images) -> nn.Module:
    spec = SearchSpace(preset=preset)  # type: ignore[arg-type]
    architecture = build_space(spec).parse(document)
    with torch.device("meta"):
        return build_network(architecture, family_of(spec, FAMILIES, ""), skeleton, images)


def test_nasbench101_has_the_published_parameters() -> None:
    # The cell of the benchmark's README, whose query gives 2,694,282 trainable parameters.
    edges = {"input-1", "input-2", "input-3", "input-5", "1-output", "2-output", "3-4", "4-output", "5-output"}
    names = ["input", "1", "2", "3", "4", "5", "output"]
    cell: dict[str, Any] = {"nodes": 7}
    for target, name in enumerate(names[1:], start=1):
        cell |= {f"{source}-{name}": int(f"{source}-{name}" in edges) for source in names[:target]}
    operations = ["conv1x1-bn-relu", *["conv3x3-bn-relu"] * 3, "maxpool3x3"]
    cell |= {f"operation.{node}": name for node, name in enumerate(operations, start=1)}
    paper = {"channels": 128, "cellsPerStack": 3}
    assert count_parameters(network_of("nasbench101", cell, paper, Images(3, 32, 32, 10))) == 2_694_282


def test_darts_has_the_published_parameters() -> None:
    # Of the paper's table 1, 3.3 million with the auxiliary classifier left out at test time.
    default = family_of(SearchSpace(preset="darts"), FAMILIES, "").default
    network = network_of("darts", default, {"channels": 36, "cells": 20}, Images(3, 32, 32, 10))
    assert count_parameters(network) / 1e6 == pytest.approx(3.3, abs=0.06)


@examples(10)
@given(st.integers(0, 2**32))
def test_blocks_cost_what_the_space_says(seed: int) -> None:
    space = build_space(SearchSpace(preset="nasbench-macro"))
    architecture = space.sample(Random(seed))
    network = network_of("nasbench-macro", architecture.to_json(), {"width": 1}, Images(3, 32, 32, 10))
    blocks = [module for module in network.modules() if isinstance(module, InvertedResidual)]
    assert sum(map(count_parameters, blocks)) == pytest.approx(space.costs(architecture)["params"])


def test_a_vision_transformer_costs_what_the_space_says() -> None:
    space = build_space(SearchSpace(preset="vit"))
    architecture = space.sample(Random(0))
    network = network_of("vit", architecture.to_json(), {"width": 1, "patch": 16}, Images(3, 224, 224, 1000))
    assert count_parameters(network) == pytest.approx(space.costs(architecture)["params"], rel=1e-3)
    flops = count_flops(network, (torch.zeros(1, 3, 224, 224, device="meta"),))
    assert flops == pytest.approx(space.costs(architecture)["flops"], rel=0.02)


def test_every_preset_of_images_has_a_family() -> None:
    assert set(FAMILIES) & set(get_args(Preset)) == set(SMALL)


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(8, 8, 1), (8, 8, 2), (8, 16, 1), (8, 16, 2)])
def test_inverted_residuals_are_mobilenet_v2s(inputs: int, outputs: int, stride: int) -> None:
    theirs = mobilenetv2.InvertedResidual(inputs, outputs, stride, expand_ratio=4)
    weights = list(theirs.state_dict().values())
    images = torch.randn(2, inputs, 8, 8)
    first, second = Backbone(3, inputs, [2, 1], "inverted_residual").stages
    assert isinstance(first, nn.Sequential)
    assert isinstance(second, nn.Sequential)
    of_backbone = {(8, 8, 2): [first[0]], (8, 8, 1): [first[1]], (8, 16, 2): [second[0]]}
    for ours in (InvertedResidual(inputs, outputs, 4, 3, stride), *of_backbone.get((inputs, outputs, stride), [])):
        own = ours.state_dict()
        assert [value.shape for value in own.values()] == [value.shape for value in weights]
        ours.load_state_dict(dict(zip(own, weights, strict=True)))
        torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(8, 8, 1), (8, 8, 2), (8, 16, 1)])
def test_fused_inverted_residuals_are_efficientnet_v2s(inputs: int, outputs: int, stride: int) -> None:
    settings = efficientnet.FusedMBConvConfig(4, 3, stride, inputs, outputs, 1)
    theirs = efficientnet.FusedMBConv(settings, 0.0, nn.BatchNorm2d)
    make, _ = BLOCKS["fused_mbconv"]
    ours = make(inputs, outputs, 3, 4, stride)
    assert parameters(ours) == parameters(theirs)


def test_a_network_of_mobilenet_v2s_stages_has_its_parameters() -> None:
    theirs = mobilenetv2.MobileNetV2(num_classes=10).features[1:-1]
    ours: list[nn.Module] = []
    inputs = 32
    for expansion, outputs, depth, first in MOBILENET_V2:
        for place in range(depth):
            ours.append(InvertedResidual(inputs, outputs, expansion, 3, first if place == 0 else 1))
            inputs = outputs
    assert parameters(nn.Sequential(*ours)) == parameters(theirs)


def parameters(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


# Table 2 of Sandler et al., CVPR 2018: expansion, channels, repetitions, first stride.
MOBILENET_V2 = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
