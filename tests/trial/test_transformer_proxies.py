"""Proxies of transformers, by their definitions and against published networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmarks.encoder_scores import encoders
from benchmarks.published_transformers import language_models
from kubenas.scores.correlation import spearman
from kubenas.space.base import Architecture, Space
from kubenas.space.presets.bert_encoder import bert_encoder
from kubenas.space.presets.seq2seq import seq2seq
from kubenas.space.presets.transformer_decoder import transformer_decoder
from kubenas.space.presets.vit import vit
from kubenas_trial.datasets.data import Batch
from kubenas_trial.measure.cost import count_parameters
from kubenas_trial.networks.base import AnyFamily, Images, Interface, TokenPairs, Tokens
from kubenas_trial.networks.bert_encoder import BERT_CLASSIFIER, BERT_MASKED_LM
from kubenas_trial.networks.build import build_network
from kubenas_trial.networks.nasbench201 import NASBENCH201
from kubenas_trial.networks.seq2seq import SEQ2SEQ
from kubenas_trial.networks.transformer_decoder import TRANSFORMER_DECODER
from kubenas_trial.networks.vit import VIT, VisionTransformer
from kubenas_trial.proxies.base import UnfitNetworkError, score
from kubenas_trial.proxies.load import load_proxies
from kubenas_trial.proxies.probe import Probe
from tests.bench.tables import published
from tests.properties import examples

NAMES = ("decoder-params", "synaptic-diversity", "synaptic-saliency", "tf-tas", "head-confidence")
TOKENS = Tokens(vocabulary=40, length=12, classes=3)
PAIRS = TokenPairs(source_vocabulary=40, target_vocabulary=30, length=12)
IMAGES = Images(channels=3, height=8, width=8, classes=4)
FAMILIES: dict[str, tuple[Callable[[], Space], AnyFamily, Interface]] = {
    "vit": (vit, VIT, IMAGES),
    "classifier": (bert_encoder, BERT_CLASSIFIER, TOKENS),
    "masked": (bert_encoder, BERT_MASKED_LM, TOKENS),
    "decoder": (transformer_decoder, TRANSFORMER_DECODER, TOKENS),
    "translator": (seq2seq, SEQ2SEQ, PAIRS),
}


def no_loss(_network: nn.Module, _batch: Batch) -> Tensor:
    raise AssertionError("none of these proxies needs labels")


def probe(interface: Interface, size: int = 2) -> Probe:
    inputs: tuple[Tensor, ...]
    match interface:
        case Images():
            inputs = (torch.randn(size, interface.channels, interface.height, interface.width),)
        case TokenPairs():
            inputs = tuple(torch.randint(1, 30, (size, 5)) for _ in range(2))
        case _:
            inputs = (torch.randint(1, 40, (size, 12)),)
    batch = Batch(inputs, (torch.zeros(size, dtype=torch.int64),))

    return Probe((batch, batch), tuple(each[:1] for each in inputs), no_loss, interface, torch.device("cpu"))


def scores(network: nn.Module, inputs: Probe) -> dict[str, float]:
    found: dict[str, float] = {}
    for proxy in load_proxies(NAMES):
        found |= score(proxy, network, inputs, seed=0)
    return found


@pytest.mark.parametrize("name", FAMILIES)
@examples(3)
@given(rng=st.randoms(use_true_random=False))
def test_every_transformer_is_scored(name: str, rng: Random) -> None:
    space, family, interface = FAMILIES[name]
    torch.manual_seed(rng.randrange(2**31))
    network = build_network(space().sample(rng), family, {"width": 0.0625}, interface)
    found = scores(network, probe(interface))
    assert set(found) == {name.replace("-", "_") for name in NAMES}
    assert min(found.values()) > 0
    assert found["tf_tas"] == pytest.approx(found["synaptic_diversity"] + found["synaptic_saliency"])
    assert found["decoder_params"] < count_parameters(network)


@pytest.mark.parametrize("name", NAMES)
def test_other_networks_are_refused(name: str) -> None:
    network = build_network(NASBENCH201.default, NASBENCH201, {"channels": 4, "cellsPerStack": 1}, IMAGES)
    (proxy,) = load_proxies([name])
    with pytest.raises(UnfitNetworkError, match=f"evaluation.proxies: {name} looks at .* the presets vit"):
        score(proxy, network, probe(IMAGES), seed=0)


def small_vit(**sizes: Any) -> VisionTransformer:
    architecture = Architecture(
        {"embed_dim": 192, "depth": 2}
        | {f"{name}.{layer}": value for layer in range(2) for name, value in (("num_heads", 3), ("mlp_ratio", 4.0))}
    )
    network = build_network(architecture, VIT, {"width": 0.0625, **sizes}, IMAGES)
    assert isinstance(network, VisionTransformer)
    return network


def sum_of(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(parts)).sum()


def test_synapses_are_seen_by_the_gradient_of_the_outputs_sum() -> None:
    network = small_vit()
    absolute = small_vit()
    absolute.load_state_dict({name: value.abs() for name, value in network.state_dict().items()})
    attention = [
        f"layers.{layer}.attention.{part}.weight" for layer in range(2) for part in ("query", "key", "value", "output")
    ]
    dense = [f"layers.{layer}.feed_forward.{part}.weight" for layer in range(2) for part in ("hidden0", "output")]
    weights = dict(absolute.named_parameters())
    total = absolute.eval()(torch.ones(1, 3, 8, 8)).sum()
    gradients = dict(
        zip(
            [*attention, *dense],
            torch.autograd.grad(total, [weights[name] for name in [*attention, *dense]]),
            strict=True,
        )
    )
    found = scores(network, probe(IMAGES))
    diversity = sum_of(
        torch.linalg.svdvals(weights[name]).sum() * torch.linalg.svdvals(gradients[name]).sum() for name in attention
    )
    saliency = sum_of((weights[name] * gradients[name]).abs().sum() for name in dense)
    assert found["synaptic_diversity"] == pytest.approx(diversity.item(), rel=1e-4)
    assert found["synaptic_saliency"] == pytest.approx(saliency.item(), rel=1e-4)


def test_heads_are_confident_by_their_largest_projections() -> None:
    network, inputs = small_vit().eval(), probe(IMAGES)
    normalised: list[Tensor] = []
    for layer in network.layers:
        layer.get_submodule("attention_norm").register_forward_hook(lambda _m, _i, output: normalised.append(output))
    network(*inputs.inputs)
    expected = sum(
        layer.get_submodule(f"attention.{part}")(vectors).max(dim=1).values.mean().item()
        for layer, vectors in zip(network.layers, normalised, strict=True)
        for part in ("query", "key", "value")
    )
    assert scores(network, inputs)["head_confidence"] == pytest.approx(expected, rel=1e-5)


def test_embeddings_and_output_are_no_decoder_parameters() -> None:
    few, many = (
        scores(
            build_network(TRANSFORMER_DECODER.default, TRANSFORMER_DECODER, {"width": 0.0625}, tokens), probe(TOKENS)
        )
        for tokens in (TOKENS, Tokens(vocabulary=400, length=48, classes=400))
    )
    assert few["decoder_params"] == many["decoder_params"]


def test_published_language_models() -> None:
    models = list(language_models(published("lts_language_models.csv")))
    assert [model.data for model in models].count("wt103") == [model.data for model in models].count("lm1b") == 200
    for model in models:
        assert model.decoder == pytest.approx(model.published_decoder, rel=0.01)
        assert model.total == pytest.approx(model.published_total, rel=0.01)
    for data, of_decoder, of_total in (("wt103", 0.967, 0.737), ("lm1b", 0.986, 0.944)):
        own = [model for model in models if model.data == data]
        perplexity = [-model.perplexity for model in own]
        assert spearman([model.decoder for model in own], perplexity) == pytest.approx(of_decoder, abs=1e-3)
        assert spearman([model.total for model in own], perplexity) == pytest.approx(of_total, abs=0.01)


def test_head_confidence_ranks_published_encoders() -> None:
    rows = encoders(published("nasbenchbert.csv"))[:40]
    tokens = Tokens(vocabulary=100, length=64, classes=2)
    inputs = torch.randint(1, 100, (2, 64))
    batch = Batch((inputs,), (inputs,))
    seen = Probe((batch, batch), (inputs[:1],), no_loss, tokens, torch.device("cpu"))
    (proxy,) = load_proxies(["head-confidence"])
    found = []
    for row in rows:
        architecture = bert_encoder().parse(f"{row['hidden_size']}:{row['layers']}")
        network = build_network(architecture, BERT_CLASSIFIER, {"width": 1}, tokens)
        found.append(score(proxy, network, seen, seed=0)["head_confidence"])
    correlation = spearman(found, [float(row["head_confidence"]) for row in rows])
    assert correlation is not None
    assert correlation > 0.8
