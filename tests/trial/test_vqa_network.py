"""Image-text networks: sizes as the space says, shapes, padding, export."""

from __future__ import annotations

from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from kubenas.space.presets.image_text import image_text
from kubenas_trial.networks.base import ImageText
from kubenas_trial.networks.build import build_network
from kubenas_trial.networks.image_text import IMAGE_TEXT
from tests.properties import examples
from tests.trial.exported import assert_same_in_onnxruntime

SPACE = image_text()
BOTH = ImageText(channels=3, height=24, width=17, vocabulary=20, length=6, classes=5)
# Each text encoder and each fusion, at least once.
COMBINATIONS = [("bag", "concat"), ("gru", "film"), ("transformer", "product"), ("transformer", "cross_attention")]


def network_of(rng: Random, **decisions: str) -> nn.Module:
    architecture = SPACE.sample(rng)
    while not decisions.items() <= architecture.items():
        architecture = SPACE.sample(rng)
    torch.manual_seed(rng.randrange(2**31))
    return build_network(architecture, IMAGE_TEXT, {"width": 0.25}, BOTH)


def questions(*ends: int) -> Tensor:
    tokens = torch.randint(1, BOTH.vocabulary, (len(ends), BOTH.length))
    return tokens * (torch.arange(BOTH.length) < torch.tensor(ends)[:, None])


@examples(20)
@given(st.randoms(use_true_random=False))
def test_every_architecture_makes_a_network_that_learns(rng: Random) -> None:
    network = network_of(rng)
    logits = network(torch.randn(3, 3, 24, 17), questions(6, 2, 1))
    assert logits.shape == (3, 5)
    logits.square().sum().backward()
    assert not [name for name, parameter in network.named_parameters() if parameter.grad is None]


@examples(25)
@given(st.randoms(use_true_random=False))
def test_layers_have_the_parameters_that_the_space_says(rng: Random) -> None:
    architecture = SPACE.sample(rng)
    with torch.device("meta"):
        network = build_network(architecture, IMAGE_TEXT, {}, BOTH)
    width = int(architecture["fusion_width"])
    around = (width + 1) * BOTH.classes
    for name, parameter in network.named_parameters():
        if name == "text.vectors.weight" or name.endswith(".table"):
            around += parameter.numel()
    params = sum(parameter.numel() for parameter in network.parameters()) - around
    assert params == SPACE.costs(architecture)["params"]


@examples(15)
@given(st.randoms(use_true_random=False), st.integers(1, 5))
def test_an_answer_depends_on_image_and_words_but_not_on_padding(rng: Random, words: int) -> None:
    network = network_of(rng).eval()
    image, tokens = torch.randn(1, 3, 24, 17), questions(words)
    logits = network(image, tokens)
    torch.testing.assert_close(network(image, tokens[:, :words]), logits, atol=1e-5, rtol=1e-4)
    other = tokens.clone()
    other[0, 0] = 1 + other[0, 0] % 19
    assert not torch.equal(network(image, other), logits)
    assert not torch.equal(network(-image, tokens), logits)


@pytest.mark.parametrize(("text", "fusion"), COMBINATIONS)
def test_onnxruntime_computes_the_same(text: str, fusion: str) -> None:
    network = network_of(Random(0), text_encoder=text, fusion=fusion)
    assert_same_in_onnxruntime(network, (torch.randn(2, 3, 24, 17), questions(6, 3)))


def test_the_default_is_an_architecture_of_the_space() -> None:
    assert SPACE.parse(dict(IMAGE_TEXT.default)).to_json() == dict(IMAGE_TEXT.default)
