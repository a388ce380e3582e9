"""U-Nets: shapes, joins, export."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kubenas.space.base import Value
from kubenas.space.presets.unet import unet as unets
from kubenas_trial.measure.export import export
from kubenas_trial.measure.onnx_network import OnnxNetwork
from kubenas_trial.networks.base import Images
from kubenas_trial.networks.build import build_network
from kubenas_trial.networks.unet import UNET, Join, Style
from tests.properties import examples

SMALL = {"width": 0.125}


@examples(15)
@given(st.randoms(use_true_random=False), st.integers(1, 40), st.integers(1, 40))
def test_every_architecture_labels_every_pixel_and_learns(rng: Random, height: int, width: int) -> None:
    network = build_network(unets().sample(rng), UNET, SMALL, Images(3, height, width, classes=5))
    logits = network(torch.randn(2, 3, height, width))
    assert logits.shape == (2, 5, height, width)
    logits.square().sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_the_default_is_an_architecture_of_the_space() -> None:
    assert dict(unets().parse(dict(UNET.default))) == dict(UNET.default)


OTHERS: dict[str, Value] = {
    "normalization": "instance",
    "activation": "leaky_relu",
    "downsample": "strided_conv",
    "upsample": "bilinear",
    "block.0": "residual",
    "block.1": "separable",
    "kernel.1": 5,
    "skip.0": "attention",
    "skip.1": "add",
    "skip.2": "none",
}


@pytest.mark.parametrize("changes", [{"normalization": "group", "upsample": "nearest"}, OTHERS])
def test_what_is_exported_gives_the_same(tmp_path: Path, changes: dict[str, Value]) -> None:
    network = build_network({**UNET.default, **changes}, UNET, SMALL, Images(3, 20, 28, classes=3)).eval()
    images = torch.randn(2, 3, 20, 28)
    export(network, (images,), tmp_path / "network.onnx")
    logits = OnnxNetwork(tmp_path / "network.onnx", threads=1)(images)
    torch.testing.assert_close(logits, network(images).detach(), rtol=1e-3, atol=1e-4)


def test_the_papers_size_is_the_papers() -> None:
    paper = {**UNET.default, "base_width": 64}
    with torch.device("meta"):
        network = build_network(paper, UNET, {"width": 1}, Images(1, 64, 64, classes=2))
    # 31,031,685 with the paper's biases; batch normalization has as many scales and shifts as there are channels.
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(31_031_685, rel=1e-3)


@pytest.mark.parametrize(("kind", "channels"), [("concat", 8), ("attention", 8), ("add", 4), ("none", 4)])
def test_joins_use_what_they_say(kind: str, channels: int) -> None:
    join = Join(kind, 4)
    kept, values = (torch.randn(1, 4, 3, 3, requires_grad=True) for _ in range(2))
    joined = join(kept, values)
    assert joined.shape == (1, channels, 3, 3)
    of_kept, of_values = torch.autograd.grad(joined.square().sum(), (kept, values), allow_unused=True)
    assert of_values.any()
    assert (of_kept is None) == (kind == "none")


@pytest.mark.parametrize("upsample", ["transposed_conv", "bilinear", "nearest"])
@pytest.mark.parametrize("downsample", ["max_pool", "avg_pool", "strided_conv"])
def test_maps_are_halved_and_doubled(downsample: str, upsample: str) -> None:
    style = Style("batch", "relu", downsample, upsample)
    halved = style.downsampling(4)(torch.randn(1, 4, 8, 6))
    assert halved.shape == (1, 4, 4, 3)
    assert style.upsampling(4, 2)(halved).shape == (1, 2, 8, 6)
