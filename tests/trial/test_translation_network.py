"""Translators: sizes as the space says, shapes, what a place may see, export."""

from __future__ import annotations

from random import Random

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from kubenas.space.presets.seq2seq import seq2seq
from kubenas_trial.networks.base import TokenPairs
from kubenas_trial.networks.build import build_network
from kubenas_trial.networks.decoding import Decoding, Whole, start
from kubenas_trial.networks.seq2seq import SEQ2SEQ, Seq2Seq
from tests.properties import examples
from tests.trial.exported import assert_same_in_onnxruntime

SPACE = seq2seq()
PAIRS = TokenPairs(source_vocabulary=30, target_vocabulary=40, length=12)


def network_of(rng: Random, width: float = 1 / 64) -> Seq2Seq:
    torch.manual_seed(rng.randrange(2**31))
    network = build_network(SPACE.sample(rng), SEQ2SEQ, {"width": width}, PAIRS)
    assert isinstance(network, Seq2Seq)
    return network


def sentences(vocabulary: int, length: int, *ends: int) -> Tensor:
    tokens = torch.randint(1, vocabulary, (len(ends), length))
    return tokens * (torch.arange(length) < torch.tensor(ends)[:, None])


@examples(15)
@given(st.randoms(use_true_random=False))
def test_every_architecture_makes_a_network_that_learns(rng: Random) -> None:
    network = network_of(rng)
    logits = network(sentences(30, 9, 9, 4, 1), sentences(40, 7, 7, 1, 3))
    assert logits.shape == (3, 7, 40)
    logits.square().sum().backward()
    assert not [name for name, parameter in network.named_parameters() if parameter.grad is None]


@examples(5)
@given(st.randoms(use_true_random=False))
def test_layers_have_the_parameters_that_the_space_says(rng: Random) -> None:
    architecture = SPACE.sample(rng)
    with torch.device("meta"):
        network = build_network(architecture, SEQ2SEQ, {"width": 1}, PAIRS)
    assert isinstance(network, Seq2Seq)
    layers = [*network.encoder.parameters(), *network.decoder.parameters()]
    assert sum(parameter.numel() for parameter in layers) == SPACE.costs(architecture)["params"]


@examples(10)
@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_a_place_sees_the_target_before_it_and_no_padding(rng: Random, place: int) -> None:
    network = network_of(rng).eval()
    source, target = sentences(30, 8, 5), sentences(40, 7, 7)
    logits = network(source, target)
    changed = target.clone()
    changed[0, place:] = 1 + (target[0, place:] + 1) % 39
    torch.testing.assert_close(network(source, changed)[:, :place], logits[:, :place])
    torch.testing.assert_close(network(source[:, :5], target), logits)


@examples(10)
@given(st.randoms(use_true_random=False))
def test_steps_give_what_the_whole_target_does(rng: Random) -> None:
    network = network_of(rng).eval()
    source, target = sentences(30, 8, 8, 5, 7), sentences(40, 6, 6, 6, 6)
    logits = network(source, target)
    for begun in (start(network, source), Whole(network, source, target[:, :0])):
        decoding: Decoding = begun
        kept, wanted, tokens = torch.tensor([True, False, True]), logits, target
        for place in range(6):
            if place == 3:  # the second sentence has ended
                decoding, wanted, tokens = decoding.of(kept), logits[kept], target[kept]
            found, decoding = decoding.step(tokens[:, place])
            torch.testing.assert_close(found, wanted[:, place], atol=1e-5, rtol=1e-4)


def test_a_decoder_layer_reads_the_last_layers_that_it_is_given() -> None:
    decided = dict(SEQ2SEQ.default)
    networks = []
    for reach in (1, 3):
        torch.manual_seed(0)
        architecture = SPACE.parse(decided | {f"cross_layers.{layer}": reach for layer in range(3)})
        networks.append(build_network(architecture, SEQ2SEQ, {"width": 1 / 64}, PAIRS).eval())
    source, target = sentences(30, 6, 6), sentences(40, 5, 5)
    near, far = networks
    assert near.state_dict().keys() == far.state_dict().keys()
    assert isinstance(near, Seq2Seq)
    assert isinstance(far, Seq2Seq)
    assert [len(network.encode(source)) for network in (near, far)] == [1, 3]
    assert not torch.allclose(near(source, target), far(source, target))
    # All three memories the same is the same as one of them: attention is a mean.
    [last] = near.encode(source)
    repeated = far.decode(source, (last, last, last), target)
    torch.testing.assert_close(repeated, near.decode(source, (last,), target), atol=1e-5, rtol=1e-4)


def test_onnxruntime_computes_the_same() -> None:
    # Each layer is exported anew, which takes long.
    decided = {name: value for name, value in SEQ2SEQ.default.items() if not name.endswith((".1", ".2"))}
    encoder = {name: value for name, value in SEQ2SEQ.default.items() if name.startswith("encoder_")}
    decided |= encoder | {"encoder_embed": 640, "encoder_heads.1": 4, "decoder_depth": 1, "cross_layers.0": 2}
    network = build_network(SPACE.parse(decided), SEQ2SEQ, {"width": 1 / 64}, PAIRS)
    assert_same_in_onnxruntime(network, (sentences(30, 8, 5, 8), sentences(40, 6, 6, 3)))


def test_the_default_is_an_architecture_of_the_space() -> None:
    assert SPACE.parse(dict(SEQ2SEQ.default)).to_json() == dict(SEQ2SEQ.default)
