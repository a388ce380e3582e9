"""Detectors: shapes, priors, boxes, export."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from kubenas.space.base import Value
from kubenas.space.presets.detector import detector as detectors
from kubenas_trial.measure.export import export
from kubenas_trial.measure.onnx_network import OnnxNetwork
from kubenas_trial.networks.backbones import Backbone
from kubenas_trial.networks.base import Images
from kubenas_trial.networks.build import build_network
from kubenas_trial.networks.detector import DETECTOR, Predictions
from kubenas_trial.networks.pyramid import Pyramid
from tests.properties import examples

IMAGES = Images(3, 48, 80, classes=4)
SMALL = {"width": 0.1, "resolution": 0.125}


@examples(15)
@given(st.randoms(use_true_random=False))
def test_every_architecture_makes_a_detector_that_learns(rng: Random) -> None:
    architecture = detectors().sample(rng)
    network = build_network(architecture, DETECTOR, SMALL, IMAGES)
    side = max(1, round(int(architecture["resolution"]) / 8 / 32)) * 32
    cells = sum((side // stride) ** 2 for stride in (8, 16, 32))
    rows = network(torch.randn(2, 3, 48, 80))
    assert rows.shape == (2, cells * (9 if architecture["head"] == "anchors" else 1), 4 + 10)
    rows.sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_the_default_is_an_architecture_of_the_space() -> None:
    assert dict(detectors().parse(dict(DETECTOR.default))) == dict(DETECTOR.default)


def altered(**changes: Value) -> dict[str, Value]:
    return {**DETECTOR.default, **changes}


# Shallow, since each export takes seconds.
SHALLOW: dict[str, Value] = {**{f"backbone_depth.{stage}": 1 for stage in range(4)}, "head_depth": 1}


@pytest.mark.parametrize(
    "architecture",
    [
        altered(**SHALLOW, head="anchors", pyramid_repeats=2, **{"pyramid.0": "bifpn", "pyramid.1": "pan"}),
        altered(**SHALLOW, backbone_block="inverted_residual", head_conv="separable", **{"head_kernel.0": 5}),
    ],
)
def test_what_is_exported_gives_the_same(tmp_path: Path, architecture: dict[str, Value]) -> None:
    network = build_network(architecture, DETECTOR, SMALL, IMAGES).eval()
    images = torch.randn(2, 3, 48, 80)
    export(network, (images,), tmp_path / "network.onnx")
    rows = OnnxNetwork(tmp_path / "network.onnx", threads=1)(images)
    torch.testing.assert_close(rows, network(images).detach(), rtol=1e-3, atol=1e-3)


def centres(boxes: Tensor) -> Tensor:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


@pytest.mark.parametrize(("head", "anchors"), [("anchor_free", 1), ("anchors", 9)])
def test_priors_lie_on_a_grid_over_the_whole_image(head: str, anchors: int) -> None:
    network = build_network(altered(head=head, resolution=256), DETECTOR, SMALL | {"resolution": 0.5}, IMAGES)
    found = Predictions.of(network(torch.zeros(1, 3, 48, 80)).detach())
    finest = found.priors[: 16 * 16 * anchors]
    # Of 128 network pixels, 8 are 5 of an image 80 wide and 3 of one 48 high.
    torch.testing.assert_close(centres(finest)[0], torch.tensor([2.5, 1.5]))
    torch.testing.assert_close(centres(finest)[anchors], torch.tensor([7.5, 1.5]))
    torch.testing.assert_close(centres(finest)[-1], torch.tensor([77.5, 46.5]))
    sides = found.priors[:, 2:] - found.priors[:, :2]
    area = 80 * 48 / 128**2
    for level in torch.unique(found.levels):
        scale = 2 ** (int(level) % 3 / 3) if anchors == 9 else 1
        stride = 8 * 2 ** (int(level) // 3 if anchors == 9 else int(level))
        expected = torch.tensor((4 * stride * scale) ** 2 * area)
        areas = sides[found.levels == level].prod(1)
        torch.testing.assert_close(areas, expected.expand(len(areas)), rtol=1e-4, atol=0)
    ratios = torch.unique(sides[:, 1] / sides[:, 0] * 80 / 48)
    assert {round(float(ratio), 3) for ratio in ratios} == ({0.5, 1, 2} if anchors == 9 else {1})


@pytest.mark.parametrize("head", ["anchor_free", "anchors"])
def test_a_head_that_says_nothing_gives_the_priors_and_no_object(head: str) -> None:
    network = build_network(altered(head=head), DETECTOR, SMALL, IMAGES)
    for name, parameter in network.named_parameters():
        if name.startswith("head.") and name.endswith(f"{head}.weight"):
            nn.init.zeros_(parameter)
    found = Predictions.of(network(torch.randn(1, 3, 48, 80)))
    torch.testing.assert_close(found.boxes[0], found.priors)
    torch.testing.assert_close(found.logits.sigmoid(), torch.full_like(found.logits, 0.01))


def test_half_precision_keeps_boxes_exact() -> None:
    network = build_network(DETECTOR.default, DETECTOR, SMALL, IMAGES).eval()
    images = torch.randn(1, 3, 48, 80)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = Predictions.of(network(images))
    assert torch.equal(mixed.priors, Predictions.of(network(images)).priors)


@examples(10)
@given(st.lists(st.sampled_from(["fpn", "pan", "bifpn"]), min_size=1, max_size=3))
def test_a_pyramid_tells_every_level_of_every_other(layers: list[str]) -> None:
    pyramid = Pyramid((3, 4, 5), 8, layers).train()
    maps = [torch.randn(2, channels, side, side, requires_grad=True) for channels, side in ((3, 8), (4, 4), (5, 2))]
    merged = pyramid(maps)
    assert [tuple(values.shape) for values in merged] == [(2, 8, 8, 8), (2, 8, 4, 4), (2, 8, 2, 2)]
    [of_coarsest] = torch.autograd.grad(merged[0].square().sum(), maps[2], retain_graph=True)
    assert of_coarsest.any()
    if set(layers) != {"fpn"}:
        [of_finest] = torch.autograd.grad(merged[2].square().sum(), maps[0])
        assert of_finest.any(), "only an FPN has no way up"


@pytest.mark.parametrize(
    ("block", "depths", "millions"), [("basic", (2, 2, 2, 2), 11.1765), ("bottleneck", (3, 4, 6, 3), 23.508)]
)
def test_backbones_are_resnets(block: str, depths: tuple[int, ...], millions: float) -> None:
    with torch.device("meta"):
        backbone = Backbone(3, 64, depths, block)
    size = sum(parameter.numel() for parameter in backbone.parameters())
    # But for the stem, whose kernel is 3 where ResNet's is 7, and the first stage's shortcut in ResNet-18.
    assert size / 1e6 == pytest.approx(millions, rel=0.002)
