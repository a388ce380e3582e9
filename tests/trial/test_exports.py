"""Random architectures of every task and space: their networks learn, and onnxruntime computes what torch does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from kubenas.api.space import SearchSpace
from kubenas.space.load import build_space
from kubenas_trial.networks.base import Graph, Images, ImageText, Series, TokenPairs, Tokens
from kubenas_trial.networks.build import build_network, family_of
from kubenas_trial.tasks.load import TASKS, task_class
from tests.properties import THOROUGH, examples
from tests.trial.exported import assert_same_in_onnxruntime
from tests.trial.test_image_networks import OWN
from tests.trial.test_image_networks import SMALL as SMALL_IMAGES

IMAGES = Images(3, 24, 20, classes=4)
TOKENS = Tokens(vocabulary=40, length=12, classes=3)


def images(count: int) -> tuple[Tensor, ...]:
    return (torch.randn(count, 3, 24, 20),)


def tokens(vocabulary: int, length: int, count: int) -> Tensor:
    """Sentences of all lengths, the first as long as can be."""
    ends = length - torch.arange(count) % length
    return torch.randint(1, vocabulary, (count, length)) * (torch.arange(length) < ends[:, None])


def sentences(count: int) -> tuple[Tensor, ...]:
    return (tokens(40, 12, count),)


def graph(count: int) -> tuple[Tensor, ...]:
    """Ten nodes for each of `count`."""
    edges = torch.randint(10 * count, (2, 30 * count))
    edges = edges[:, edges[0] != edges[1]]
    return torch.randn(10 * count, 9), torch.cat([edges, edges.flip(0)], dim=1)


class Kind(NamedTuple):
    """What goes into a task's networks, by the number of examples, and the size of what is around them."""

    interface: object
    inputs: Callable[[int], tuple[Tensor, ...]]
    small: Mapping[str, Any]


KINDS: dict[str, Kind] = {
    "object-detection": Kind(IMAGES, images, {"width": 0.1, "resolution": 0.125}),
    "semantic-segmentation": Kind(IMAGES, images, {"width": 0.125}),
    "text-classification": Kind(TOKENS, sentences, {"width": 0.0625}),
    "text-representation": Kind(TOKENS, sentences, {"width": 0.0625}),
    "language-model": Kind(TOKENS, sentences, {"width": 0.0625}),
    "translation": Kind(
        TokenPairs(30, 40, 12), lambda count: (tokens(30, 8, count), tokens(40, 6, count)), {"width": 1 / 64}
    ),
    "keyword-spotting": Kind(Series(6, 20, 4), lambda count: (torch.randn(count, 6, 20),), {"width": 0.125}),
    "node-classification": Kind(Graph(9, 4), graph, {"hidden": 8}),
    "visual-question-answering": Kind(
        ImageText(3, 24, 17, 20, 6, 5),
        lambda count: (torch.randn(count, 3, 24, 17), tokens(20, 6, count)),
        {"width": 0.25},
    ),
}
KINDS |= {f"image-classification {name}": Kind(IMAGES, images, small) for name, small in SMALL_IMAGES.items()}
KINDS |= {f"image-classification {name}": Kind(IMAGES, images, {"channels": 4}) for name in ("inputs", "stages")}
CASES = [(name, preset) for name in KINDS for preset in ([""] if " " in name else list(task_class(name).families))]
# The other families' exports are tested with chosen architectures beside their networks: an export takes half a minute.
EXPORTED = [case for case in CASES if " " in case[0] or settings.get_current_profile_name() == THOROUGH]


def test_every_task_is_here() -> None:
    assert {name.split()[0] for name in KINDS} == set(TASKS)


def drawn_network(name: str, preset: str, seed: int) -> nn.Module:
    """The network of a drawn architecture, as small as can be, of a case."""
    task, _, own = name.partition(" ")
    spec = SearchSpace.model_validate(OWN.get(own, {"preset": own or preset}))
    torch.manual_seed(seed)
    family = family_of(spec, task_class(task).families, task)
    kind = KINDS[name]
    return build_network(build_space(spec).sample(Random(seed)), family, kind.small, kind.interface)


@pytest.mark.parametrize(("name", "preset"), CASES)
@examples(4)
@given(st.integers(0, 2**32))
def test_a_random_architecture_learns(name: str, preset: str, seed: int) -> None:
    network, kind = drawn_network(name, preset, seed), KINDS[name]
    network(*kind.inputs(3)).square().sum().backward()
    assert all(each.grad is None or bool(each.grad.isfinite().all()) for each in network.parameters())


@pytest.mark.parametrize(("name", "preset"), EXPORTED)
@examples(1)
@given(st.integers(0, 2**32))
def test_a_random_architecture_is_exported(name: str, preset: str, seed: int) -> None:
    network, kind = drawn_network(name, preset, seed), KINDS[name]
    # As after a training: what is drawn has statistics of no data.
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    assert_same_in_onnxruntime(network, kind.inputs(2), kind.inputs(1), kind.inputs(3), tolerance=1e-3)
