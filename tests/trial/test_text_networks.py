"""Networks on tokens: shapes, padding, causality, transforms, export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from kubenas.space.base import Space, Value
from kubenas.space.presets.bert_encoder import OPERATIONS, bert_encoder
from kubenas.space.presets.transformer_decoder import transformer_decoder
from kubenas_trial.networks.adaptive_embedding import AdaptiveEmbedding
from kubenas_trial.networks.attention import Attention, FeedForward, Sinusoids, causal_mask, padding_mask, scaled
from kubenas_trial.networks.base import AnyFamily, Tokens
from kubenas_trial.networks.bert_encoder import BERT_CLASSIFIER, BERT_MASKED_LM
from kubenas_trial.networks.build import build_network
from kubenas_trial.networks.relative_attention import RelativeAttention
from kubenas_trial.networks.token_mixers import cosine_matrices, fourier_matrices, mixer
from kubenas_trial.networks.transformer_decoder import TRANSFORMER_DECODER
from tests.properties import examples

TOKENS = Tokens(vocabulary=40, length=12, classes=3)
SMALL = {"width": 0.0625}
FAMILIES: dict[str, tuple[Callable[[], Space], AnyFamily]] = {
    "classifier": (bert_encoder, BERT_CLASSIFIER),
    "masked": (bert_encoder, BERT_MASKED_LM),
    "decoder": (transformer_decoder, TRANSFORMER_DECODER),
}


def random_network(kind: str, rng: Random) -> nn.Module:
    space, family = FAMILIES[kind]
    torch.manual_seed(rng.randrange(2**31))
    return build_network(space().sample(rng), family, SMALL, TOKENS)


def sentences(*lengths: int) -> Tensor:
    tokens = torch.randint(1, TOKENS.vocabulary, (len(lengths), TOKENS.length))
    return tokens * (torch.arange(TOKENS.length) < torch.tensor(lengths)[:, None])


@examples(15)
@given(st.sampled_from(sorted(FAMILIES)), st.randoms(use_true_random=False))
def test_every_architecture_makes_a_network_that_learns(kind: str, rng: Random) -> None:
    network = random_network(kind, rng)
    outputs = network(sentences(12, 5, 1))
    assert outputs.shape == ((3, 3) if kind == "classifier" else (3, 12, 40))
    outputs.square().sum().backward()
    without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert not without


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_the_default_is_an_architecture_of_the_space(kind: str) -> None:
    space, family = FAMILIES[kind]
    assert dict(space().parse(dict(family.default))) == dict(family.default)


@examples(5)
@given(st.randoms(use_true_random=False))
def test_encoders_normalise_inputs_or_sums(rng: Random) -> None:
    architecture = bert_encoder().sample(rng)
    before, after = (
        build_network(architecture, BERT_MASKED_LM, {**SMALL, "normalization": order}, TOKENS).get_submodule("encoder")
        for order in ("before", "after")
    )
    tokens = sentences(12, 12)
    layers: list[Tensor] = []
    for encoder in (before, after):
        encoder.eval().get_submodule("layers.1").register_forward_hook(lambda _m, _i, output: layers.append(output))
        vectors = encoder(tokens)
        torch.testing.assert_close(vectors.mean(2), torch.zeros(2, 12), atol=1e-5, rtol=0)
        torch.testing.assert_close(vectors.var(2, unbiased=False), torch.ones(2, 12), atol=1e-2, rtol=0)
    means = [each.mean(2).abs().max().item() for each in layers]
    assert means[0] > 1e-3
    assert means[1] < 1e-5


@examples(15)
@given(st.randoms(use_true_random=False), st.integers(1, 12))
def test_padding_changes_nothing(rng: Random, length: int) -> None:
    network = random_network("classifier", rng).eval()
    tokens = sentences(length, 12)
    padded, alone = network(tokens)[0], network(tokens[:1, :length])[0]
    torch.testing.assert_close(padded, alone, rtol=1e-4, atol=1e-5)


@examples(10)
@given(st.randoms(use_true_random=False), st.integers(0, 10))
def test_a_decoder_does_not_look_ahead(rng: Random, place: int) -> None:
    network = random_network("decoder", rng).eval()
    tokens = sentences(12)
    changed = tokens.clone()
    changed[0, place + 1 :] = 1 + tokens[0, place + 1 :] % (TOKENS.vocabulary - 1)
    before, after = network(tokens)[0], network(changed)[0]
    torch.testing.assert_close(before[: place + 1], after[: place + 1])
    assert not torch.allclose(before[place + 1], after[place + 1])


@pytest.mark.parametrize(
    ("kind", "operations"),
    [("classifier", OPERATIONS[:4]), ("masked", (OPERATIONS[4], OPERATIONS[5])), ("decoder", ())],
)
def test_what_is_exported_gives_the_same(tmp_path: Path, kind: str, operations: tuple[str, ...]) -> None:
    space, family = FAMILIES[kind]
    decisions: dict[str, Value] = {**space().sample(Random(1))}
    if operations:
        decisions |= {"depth": len(operations)}
        for layer, operation in enumerate(operations):
            decisions |= {f"operation.{layer}": operation, f"heads.{layer}": 2}
            decisions |= {f"ffn_size.{layer}": 512, f"ffn_layers.{layer}": 3}
    else:
        decisions["div_val"] = 4
    network = build_network(decisions, family, SMALL, TOKENS).eval()
    tokens = sentences(12, 7)
    program = torch.onnx.export(network, (tokens,), dynamo=True, verbose=False)
    assert program is not None
    path = tmp_path / "network.onnx"
    program.save(path)
    session = onnxruntime.InferenceSession(path)
    [outputs] = session.run(None, {session.get_inputs()[0].name: tokens.numpy()})
    torch.testing.assert_close(torch.as_tensor(outputs), network(tokens).detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [1, 5, 8])
def test_transforms_are_those_of_the_libraries(size: int) -> None:
    from scipy.fft import dct

    values = torch.randn(size, size, dtype=torch.float64).float()
    real, imaginary = fourier_matrices(size)
    expected = torch.fft.fft2(values, norm="ortho").real
    torch.testing.assert_close(real @ values @ real - imaginary @ values @ imaginary, expected, atol=1e-5, rtol=1e-5)
    [matrix] = cosine_matrices(size)
    expected = torch.from_numpy(dct(values.numpy(), norm="ortho", axis=0))
    torch.testing.assert_close(matrix @ values, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_lets_tokens_learn_of_each_other(operation: str) -> None:
    operator = mixer(operation, 8, 2, 6).eval()
    inputs = torch.randn(1, 6, 8)
    changed = inputs.clone()
    changed[0, 3] += 1
    present = torch.ones(1, 6, dtype=torch.bool)
    difference = (operator(inputs, present) - operator(changed, present)).abs().sum(2)[0]
    assert difference[2] > 0
    assert difference[4] > 0


def test_weighted_attention_begins_as_scaled_dot_product_attention() -> None:
    torch.manual_seed(0)
    plain = mixer("SA/SDP", 8, 2, 6)
    torch.manual_seed(0)
    weighted = mixer("SA/WMA", 8, 2, 6)
    inputs, present = torch.randn(2, 6, 8), torch.ones(2, 6, dtype=torch.bool)
    torch.testing.assert_close(plain(inputs, present), weighted(inputs, present))
    sizes = [sum(parameter.numel() for parameter in each.parameters()) for each in (plain, weighted)]
    assert sizes[1] - sizes[0] == 2 * 4 * 4


@given(vocabulary=st.integers(3, 60), division=st.sampled_from([1, 2, 4]), first=st.integers(1, 16))
def test_an_adaptive_embedding_scores_by_what_it_embeds(vocabulary: int, division: int, first: int) -> None:
    embedding = AdaptiveEmbedding(vocabulary, first, division, width=8)
    if division > 1:
        frequent = embedding.get_submodule("clusters.0")
        frequent.get_submodule("scoring").load_state_dict(frequent.get_submodule("projection").state_dict())
    embedded = embedding(torch.arange(vocabulary)[None])
    assert embedded.shape == (1, vocabulary, 8)
    assert bool((embedded.abs().sum(2) > 0).all())
    vectors = torch.randn(2, 3, 8)
    torch.testing.assert_close(embedding.score(vectors), vectors @ embedded[0].T, atol=1e-4, rtol=1e-4)


def test_attention_is_torchs_own() -> None:
    own, theirs = Attention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    weights = [own.get_parameter(f"{part}.weight") for part in ("query", "key", "value")]
    biases = [own.get_parameter(f"{part}.bias") for part in ("query", "key", "value")]
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat(tuple(weights)))
        theirs.in_proj_bias.copy_(torch.cat(tuple(biases)))
        theirs.out_proj.load_state_dict(own.output.state_dict())
    tokens, inputs = torch.tensor([[3, 1, 0], [2, 5, 4]]), torch.randn(2, 3, 8)
    mask = padding_mask(tokens, 0) & causal_mask(3)
    expected, _ = theirs(
        inputs, inputs, inputs, key_padding_mask=tokens == 0, attn_mask=~causal_mask(3), need_weights=False
    )
    torch.testing.assert_close(own(inputs, inputs, mask), expected, atol=1e-5, rtol=1e-5)


@given(length=st.integers(1, 5), heads=st.sampled_from([1, 2]))
def test_relative_attention_is_the_papers(length: int, heads: int) -> None:
    attention = RelativeAttention(8, heads, 5)
    for bias in (attention.content_bias, attention.distance_bias):
        nn.init.normal_(bias)
    inputs, size = torch.randn(2, length, 8), 8 // heads
    query, key, value = (attention.get_submodule(part)(inputs) for part in ("query", "key", "value"))
    outputs = torch.zeros(2, length, 8)
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        for row in range(length):
            scores = [
                (query[:, row, own] + attention.content_bias[own]) * key[:, column, own]
                + (query[:, row, own] + attention.distance_bias[own])
                * attention.distance(attention.table[row - column])[own]
                for column in range(row + 1)
            ]
            weights = (torch.stack(scores, dim=1).sum(2) / size**0.5).softmax(1)
            outputs[:, row, own] = (weights[:, :, None] * value[:, : row + 1, own]).sum(1)
    expected = attention.output(outputs)
    torch.testing.assert_close(attention(inputs, inputs, causal_mask(length)), expected, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="give a causal mask"):
        attention(inputs, inputs)


@given(heads=st.sampled_from([1, 2, 4, 8]), factor=st.floats(0.01, 2), size=st.sampled_from([64, 512, 640]))
def test_scaled_sizes_fit_every_number_of_heads(heads: int, factor: float, size: int) -> None:
    inner = scaled(size, factor)
    assert inner % heads == 0
    assert abs(inner - size * factor) <= max(4, 8 - size * factor)
    attention = Attention(6, heads, inner=inner, memory_width=4)
    assert attention(torch.randn(1, 3, 6), torch.randn(1, 5, 4)).shape == (1, 3, 6)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="3 heads do not divide 8 channels"):
        Attention(8, 3)


def test_sinusoids_are_the_papers() -> None:
    positions = Sinusoids(5, 6)(torch.zeros(1, 4, 6))[0]
    assert positions.shape == (4, 6)
    torch.testing.assert_close(positions[3, 2], torch.tensor(3 / 10_000 ** (2 / 6)).sin())
    torch.testing.assert_close(positions[3, 5], torch.tensor(3 / 10_000 ** (4 / 6)).cos())


def test_feed_forward_stacks_have_as_many_hidden_layers_as_asked() -> None:
    linear = [part for part in FeedForward(4, 7, layers=3) if isinstance(part, nn.Linear)]
    assert [(part.in_features, part.out_features) for part in linear] == [(4, 7), (7, 7), (7, 7), (7, 4)]


def default_size(family: AnyFamily, width: float) -> int:
    network = build_network(family.default, family, {"width": width}, Tokens(1000, 32, 2))
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("family", [BERT_CLASSIFIER, TRANSFORMER_DECODER])
def test_width_scales_networks(family: AnyFamily) -> None:
    assert default_size(family, 0.25) < default_size(family, 0.5) < default_size(family, 1)
