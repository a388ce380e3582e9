"""Each proxy, against what it is by its definition."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kubenas.api.metric_names import PROXIES as METRICS
from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset
from kubenas.api.task import Task as TaskSpec
from kubenas.api.unfit import UNFIT_PROXIES
from kubenas.space.load import build_space
from kubenas_trial.architecture import default_architecture
from kubenas_trial.datasets.data import Batch
from kubenas_trial.errors import InvalidTrialError, NonFiniteMetricError
from kubenas_trial.measure.cost import count_flops
from kubenas_trial.networks.base import Images
from kubenas_trial.networks.build import family_of
from kubenas_trial.proxies import vkdnw
from kubenas_trial.proxies.az_nas import AzNas
from kubenas_trial.proxies.base import Proxy, UnfitNetworkError, score
from kubenas_trial.proxies.epe_nas import EpeNas
from kubenas_trial.proxies.fisher import Fisher
from kubenas_trial.proxies.flops import Flops
from kubenas_trial.proxies.grad_norm import GradNorm
from kubenas_trial.proxies.grasp import Grasp
from kubenas_trial.proxies.jacob_cov import JacobCov
from kubenas_trial.proxies.l2_norm import L2Norm
from kubenas_trial.proxies.load import PROXIES, load_proxies
from kubenas_trial.proxies.meco import Meco
from kubenas_trial.proxies.nwot import Nwot
from kubenas_trial.proxies.params import Params
from kubenas_trial.proxies.plain import Plain
from kubenas_trial.proxies.probe import Probe
from kubenas_trial.proxies.snip import Snip
from kubenas_trial.proxies.swap import Swap
from kubenas_trial.proxies.synflow import Synflow
from kubenas_trial.proxies.trainable_layers import TrainableLayers
from kubenas_trial.proxies.vkdnw import Vkdnw
from kubenas_trial.proxies.zen import Zen
from kubenas_trial.proxies.zico import Zico
from kubenas_trial.tasks.load import load_task

CPU = torch.device("cpu")
CLASSES = 3


def probe_of(batches: Sequence[Batch], loss: Callable[[nn.Module, Batch], Tensor], classes: int = CLASSES) -> Probe:
    """A probe with two batches, which may be the same."""
    first, second = batches[0], batches[-1]
    channels, height, width = first.inputs[0].shape[1:]
    example = (first.inputs[0][:1],)
    return Probe((first, second), example, loss, Images(channels, height, width, classes), CPU)


def classified(network: nn.Module, batch: Batch) -> Tensor:
    [labels] = batch.targets
    return cross_entropy(network(*batch.inputs), labels)


def drawn(examples: int = 6, side: int = 5, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(examples, 2, side, side, generator=generator)
    return Batch((images,), (torch.arange(examples) % CLASSES,))


def convolutional() -> nn.Sequential:
    """Two convolutions, a strided one with a bias, batch normalization, a linear layer."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, CLASSES),
    )


def linear() -> nn.Sequential:
    """y = (5, 6) [(1, -2), (3, 4)] x."""
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
        second.weight.copy_(torch.tensor([[5.0, 6.0]]))
    return nn.Sequential(nn.Flatten(), first, second)


# The loss is y itself: at x = (1, 1) the hidden layer is (-1, 7), the loss 37, its gradients by the weights (-1, 7) and
# ((5, 5), (6, 6)).
ONES = Batch((torch.ones(1, 1, 1, 2),), (torch.zeros(1),))


@pytest.mark.parametrize(
    ("proxy", "value"),
    [
        (Params(), 6),
        (Flops(), 6),
        (TrainableLayers(), 2),
        (L2Norm(), math.sqrt(1 + 4 + 9 + 16) + math.sqrt(25 + 36)),
        (Plain(), (5 - 10 + 18 + 24) + (-5 + 42)),
        (Snip(), (5 + 10 + 18 + 24) + (5 + 42)),
        (GradNorm(), math.sqrt(25 + 25 + 36 + 36) + math.sqrt(1 + 49)),
        # Twice half the square of activation times gradient, as two weights lead to each unit.
        (Fisher(), (25 + 42**2) + 37**2),
        # All positive: y = (5, 6) [(1, 2), (3, 4)] (1, 1) = 57 flows through each layer.
        (Synflow(), math.log1p(57 + 57)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_network_that_is_computed_by_hand(proxy: Proxy, value: float) -> None:
    probe = probe_of([ONES], lambda network, batch: network(*batch.inputs).sum())
    [found] = score(proxy, linear(), probe, seed=0).values()
    assert found == pytest.approx(value)


def test_fisher_sums_over_positions_before_it_squares() -> None:
    layer = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    network = nn.Sequential(layer)
    images = torch.tensor([[[[1.0, -3.0]]], [[[2.0, 0.5]]]])
    probe = probe_of([Batch((images,), (torch.zeros(2),))], lambda network, batch: network(*batch.inputs).sum())
    # Gradients are 1, activations (2, -6) and (4, 1): sums -4 and 5.
    assert score(Fisher(), network, probe, seed=0)["fisher"] == pytest.approx((16 + 25) / 2 / 2)


def test_grasp_is_minus_weights_by_hessian_by_gradient() -> None:
    network, batch = convolutional(), drawn()
    # Second derivatives of a ReLU at 0 differ by who is asked, and there is none.
    names = ("0.weight", "3.weight", "7.weight")
    others = {name: each.detach() for name, each in network.named_parameters() if name not in names}
    shapes = [network.get_parameter(name).shape for name in names]
    weights = torch.cat([network.get_parameter(name).detach().flatten() for name in names]).double()

    def loss(flat: Tensor) -> Tensor:
        parts = dict(
            zip(
                names,
                (p.reshape(s) for p, s in zip(torch.split(flat, [s.numel() for s in shapes]), shapes, strict=True)),
                strict=True,
            )
        )
        states = {**{name: each.double() for name, each in others.items()}, **parts}
        [labels] = batch.targets
        logits = torch.func.functional_call(network.double(), states, batch.inputs[0].double())
        return cross_entropy(logits, labels)

    hessian = torch.autograd.functional.hessian(loss, weights)  # type: ignore[no-untyped-call]
    gradient = torch.autograd.functional.jacobian(loss, weights)  # type: ignore[no-untyped-call]
    expected = -float(weights @ hessian @ gradient)
    found = score(Grasp(), network.float(), probe_of([batch], classified), seed=0)["grasp"]
    assert found == pytest.approx(expected, rel=1e-3)


def gradients_of_examples(network: nn.Module, batch: Batch) -> np.ndarray:
    """Of the sum of all outputs by each example, by central differences."""
    network.train()
    images = batch.inputs[0].double()
    network.double()
    step, found = 1e-6, np.zeros(images.shape)
    with torch.no_grad():
        for index in np.ndindex(*images.shape):
            moved = [images.clone(), images.clone()]
            moved[0][index] += step
            moved[1][index] -= step
            found[index] = float(network(moved[0]).sum() - network(moved[1]).sum()) / (2 * step)
    network.float()
    return found.reshape(len(images), -1)


def without_norm() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, CLASSES))


def test_jacob_cov_is_of_the_eigenvalues_of_correlations() -> None:
    batch = drawn()
    correlations = np.corrcoef(gradients_of_examples(without_norm(), batch))
    values = np.linalg.eigvalsh(correlations) + 1e-5
    expected = -float(np.sum(np.log(values) + 1 / values))
    found = score(JacobCov(), without_norm(), probe_of([batch], classified), seed=0)["jacob_cov"]
    assert found == pytest.approx(expected, rel=1e-3)


def test_epe_nas_sums_correlations_within_classes() -> None:
    batch = drawn()
    gradients, labels = gradients_of_examples(without_norm(), batch), batch.targets[0].numpy()
    expected = 0.0
    for label in range(CLASSES):
        correlations = np.corrcoef(gradients[labels == label])
        expected += abs(np.log(np.abs(correlations) + 1e-5).sum())
    found = score(EpeNas(), without_norm(), probe_of([batch], classified), seed=0)["epe_nas"]
    assert found == pytest.approx(expected, rel=1e-3)


def activities(network: nn.Sequential, images: Tensor) -> list[list[bool]]:
    """Of each example, which units of all ReLUs are active."""
    found: list[list[bool]] = [[] for _ in images]
    values = images
    for part in network.train():
        if isinstance(part, nn.ReLU):
            for own, example in zip(found, values, strict=True):
                own += [unit > 0 for unit in example.flatten().tolist()]
        values = part(values)
    return found


def test_nwot_counts_the_relus_that_agree() -> None:
    batch = drawn()
    active = activities(convolutional(), batch.inputs[0])
    kernel = np.array([[sum(a == b for a, b in zip(one, other, strict=True)) for other in active] for one in active])
    found = score(Nwot(), convolutional(), probe_of([batch], classified), seed=0)["nwot"]
    assert found == pytest.approx(float(np.linalg.slogdet(kernel.astype(float))[1]), rel=1e-5)


def test_swap_counts_different_patterns_of_sixteen_examples() -> None:
    batch = drawn(examples=20)
    patterns = set(zip(*activities(convolutional(), batch.inputs[0][:16]), strict=True))
    assert score(Swap(), convolutional(), probe_of([batch], classified), seed=0)["swap"] == len(patterns)


def test_zico_compares_two_batches() -> None:
    batches = [drawn(seed=0), drawn(seed=1)]
    gradients: list[list[np.ndarray]] = []
    for batch in batches:
        network = convolutional().train()
        layers = [network.get_parameter(f"{number}.weight") for number in (0, 3, 7)]
        found = torch.autograd.grad(classified(network, batch), layers)
        gradients.append([gradient.flatten().numpy() for gradient in found])
    expected = 0.0
    for first, second in zip(*gradients, strict=True):
        pairs = [(a, b) for a, b in zip(first, second, strict=True) if a != b]
        expected += math.log(sum((abs(a) + abs(b)) / 2 / (abs(a - b) / 2) for a, b in pairs))
    assert score(Zico(), convolutional(), probe_of(batches, classified), seed=0)["zico"] == pytest.approx(
        expected, rel=1e-4
    )
    assert score(Zico(), convolutional(), probe_of(batches[:1], classified), seed=0)["zico"] == 0


def test_zen_is_what_a_linear_layer_adds_up_to() -> None:
    images = Batch((torch.zeros(8, 3, 16, 16),), (torch.zeros(8).long(),))
    plain = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.AdaptiveAvgPool2d(1))
    # A sum of 27 products of normal numbers, less at the borders, moves by 0.01 sqrt(2 / pi) |weights| everywhere.
    positions = 64 * sum(math.sqrt(3 * rows * columns) for rows in edges(16) for columns in edges(16))
    expected = math.log(0.01 * math.sqrt(2 / math.pi) * positions)
    assert score(Zen(), plain, probe_of([images], classified), seed=0)["zen"] == pytest.approx(expected, abs=0.05)
    normalized = nn.Sequential(plain[0], nn.BatchNorm2d(64), plain[1])
    # The change is divided by the deviation; remembered are 0.19 of the variance after two passes, and 0.81 of 1.
    variance = sum(3 * rows * columns for rows in edges(16) for columns in edges(16)) / 16**2
    expected += math.log((0.19 * variance + 0.81) / variance) / 2
    assert score(Zen(), normalized, probe_of([images], classified), seed=0)["zen"] == pytest.approx(expected, abs=0.05)


def edges(side: int) -> list[int]:
    """Rows of a kernel of 3 that see the image, by position."""
    return [2, *[3] * (side - 2), 2]


def test_meco_is_least_where_channels_are_alike() -> None:
    images = Batch((torch.zeros(2, 2, 32, 32),), (torch.zeros(2).long(),))
    layer = nn.Conv2d(2, 2, 1, bias=False)
    alike, different = torch.tensor([[1.0, 2.0], [2.0, 4.0]]), torch.eye(2)
    found = {}
    for name, weight in (("alike", alike), ("different", different)):
        with torch.no_grad():
            layer.weight.copy_(weight[:, :, None, None])
        found[name] = score(Meco(), nn.Sequential(layer), probe_of([images], classified), seed=0)["meco"]
    # Of the layer and of the whole, each at most 1.
    assert found["alike"] == pytest.approx(0, abs=1e-4)
    assert found["different"] == pytest.approx(2, abs=0.2)


class Scaled(nn.Module):
    """A block that multiplies by a constant, which no initialisation changes."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.inner = nn.Identity()
        self.factor = nn.Parameter(torch.tensor(float(factor)))

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.inner(inputs) * self.factor
        return outputs


def blocks_of(*factors: float) -> nn.Sequential:
    return nn.Sequential(*map(Scaled, factors), nn.Flatten(), nn.Linear(2 * 32 * 32, CLASSES))


def test_az_nas_of_blocks_that_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 2, 32, 32, generator=generator)
    probe = probe_of([Batch((images,), (torch.zeros(8).long(),))], classified)
    found = score(AzNas(), blocks_of(1, 2, 2), probe, seed=0)
    # Two independent channels of one variance, in each of three blocks.
    assert found["az_expressivity"] == pytest.approx(3 * math.log(2), rel=1e-3)
    assert found["az_progressivity"] == pytest.approx(0, abs=1e-5)
    # Each block's Jacobian is twice the identity: 2 - 2 - 1 / 2.
    assert found["az_trainability"] == pytest.approx(-0.5, abs=0.05)
    assert found["az_complexity"] == score(Flops(), blocks_of(1, 2, 2), probe, seed=0)["flops"]
    # A block that changes nothing is ranked last, as the authors have it.
    assert score(AzNas(), blocks_of(1, 1, 1), probe, seed=0)["az_trainability"] == -1e6
    assert score(AzNas(), blocks_of(1, 0.5), probe, seed=0)["az_trainability"] == pytest.approx(-0.5, abs=0.05)


def test_az_nas_entropies_are_of_principal_components() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 2, 16, 16, generator=generator)
    images[:, 1] = 0.5 * images[:, 0] + 0.1 * images[:, 1]
    probe = probe_of([Batch((images,), (torch.zeros(8).long(),))], classified)
    network = nn.Sequential(Scaled(1), Scaled(3), nn.Flatten(), nn.Linear(2 * 16 * 16, CLASSES))
    shares = np.linalg.eigvalsh(np.cov(images.transpose(0, 1).flatten(1).numpy()))
    shares /= shares.sum()
    expected = -2 * float(np.sum(shares * np.log(shares)))
    assert score(AzNas(), network, probe, seed=0)["az_expressivity"] == pytest.approx(expected, rel=1e-3)


# A backward pass a class, for two of the three, for all.
@pytest.mark.parametrize("at_once", [1, 12, 160])
def test_vkdnw_is_the_entropy_of_the_fisher_informations_deciles(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vkdnw, "_AT_ONCE", at_once)
    network, batch = convolutional().train(), drawn()
    [found] = Vkdnw()(network, probe_of([batch], classified)).values()
    # By the definition, example by example, class by class, on the weights that it has drawn.
    network.eval()
    tensors = [*network.parameters()]
    information = np.zeros((len(tensors), len(tensors)))
    for image in batch.inputs[0]:
        logits = network(image[None])[0]
        likely = 0.95 * torch.softmax(logits, 0).detach().numpy().astype(float) + 0.05 / CLASSES
        rows = []
        for logit in logits:
            gradients = torch.autograd.grad(logit, tensors, retain_graph=True)
            rows.append([float(gradient.flatten()[0]) for gradient in gradients])
        jacobian = np.array(rows)
        mean = likely @ jacobian
        information += sum(p * np.outer(row - mean, row - mean) for p, row in zip(likely, jacobian, strict=True))
    deciles = np.quantile(np.linalg.eigvalsh(information / len(batch.inputs[0])).clip(0), np.arange(1, 10) / 10)
    shares = deciles / (deciles.sum() + 1e-10)
    assert found == pytest.approx(float(-(shares * np.log(shares + 1e-10)).sum()), rel=1e-3)


def test_features_that_overflow_have_no_score() -> None:
    probe = probe_of([Batch((torch.randn(4, 2, 8, 8),), (torch.zeros(4).long(),))], classified)
    with pytest.raises(NonFiniteMetricError, match="proxy az-nas: "):
        score(AzNas(), nn.Sequential(Scaled(1e20), Scaled(1e20), nn.Flatten(), nn.Linear(128, CLASSES)), probe, seed=0)


# Networks as small as they can be, by task and preset.
NETWORKS = [
    ("image-classification", "nasbench201", {"channels": 4, "cellsPerStack": 1}),
    ("image-classification", "nasbench101", {"channels": 8}),
    ("image-classification", "darts", {"channels": 4, "cells": 3}),
    ("image-classification", "nasbench-macro", {}),
    ("image-classification", "mobilenet-ofa", {"width": 0.1}),
    ("image-classification", "vit", {"width": 0.05}),
    ("image-classification", "mlp", {}),
    ("keyword-spotting", "tcn", {"width": 0.25}),
    ("keyword-spotting", "rnn", {"width": 0.25}),
    ("text-classification", "bert-encoder", {"width": 0.125}),
    ("language-model", "transformer-decoder", {"width": 0.0625}),
    ("node-classification", "gnn", {"hidden": 16}),
]


@pytest.mark.parametrize(("name", "preset", "skeleton"), NETWORKS, ids=[preset for _, preset, _ in NETWORKS])
def test_each_presets_default_is_scored_or_told_unfit(name: str, preset: str, skeleton: dict[str, float]) -> None:
    from kubenas_trial.tasks.load import task_class

    kind = task_class(name)
    data = {"node-classification": "karate-club"}.get(name, next(iter(kind.built_in)))
    spec = TaskSpec(name=name, dataset=Dataset(name=data), settings={"batchSize": 16, "network": skeleton})
    task, space = load_task(spec, None, CPU), SearchSpace.model_validate({"preset": preset})
    architecture = default_architecture(build_space(space), family_of(space, task.families, name).default)
    torch.manual_seed(0)
    network = task.build(architecture, space).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    probe = Probe.of(task, "noise", 0)
    unfit, messages = set(), list[str]()
    for proxy in load_proxies(PROXIES):
        try:
            scores = score(proxy, network, probe, seed=0)
        except UnfitNetworkError as error:
            messages.append(str(error))
            unfit.add(proxy.name)
            continue
        assert tuple(scores) == proxy.metrics
        torch.rand(3)  # what was drawn before does not matter
        assert score(proxy, network, probe, seed=0) == scores, proxy.name
    assert unfit == UNFIT_PROXIES[preset]
    assert all(each.startswith("evaluation.proxies: ") for each in messages)
    assert not network.training
    assert all(each.grad is None for each in network.parameters())
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_flops_are_counted_once_a_network() -> None:
    probe, calls = probe_of([drawn()], classified), list[nn.Module]()
    first, second = convolutional(), linear_of_images()
    for network in (first, second):
        network.register_forward_hook(lambda called, *_: calls.append(called))
    counted = [probe.flops(each) for each in (first, second, first, second)]
    assert calls == [first, second]
    assert counted == [count_flops(each, probe.example) for each in (first, second)] * 2


def linear_of_images() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(50, CLASSES))


def test_names_and_metrics_are_those_that_the_operator_knows() -> None:
    assert set(PROXIES) == set(METRICS)
    for proxy in load_proxies(PROXIES):
        assert METRICS[proxy.name] == proxy.metrics
    assert [proxy.name for proxy in load_proxies(["default", "az_nas", "jacob-cov"])] == [
        "az-nas",
        "vkdnw",
        "jacob_cov",
    ]


def test_an_unknown_proxy_is_one_clear_error() -> None:
    with pytest.raises(
        InvalidTrialError, match=r"evaluation.proxies: 'oracle' is unknown to this trainer; choose of def"
    ):
        load_proxies(["oracle"])


OWN = """
class Width:
    name = "first-width"
    metrics = ("first_width",)

    def __call__(self, network, inputs):
        return {"first_width": next(network.parameters()).shape[0]}
"""


def test_a_package_adds_a_proxy_by_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_proxies.py").write_text(OWN)
    info = tmp_path / "own_proxies-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-proxies\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[kubenas.proxies]\nfirst-width = own_proxies:Width\n")
    monkeypatch.syspath_prepend(tmp_path)
    [proxy] = load_proxies(["first_width"])
    assert score(proxy, convolutional(), probe_of([drawn()], classified), seed=0) == {"first_width": 3}


def test_noise_and_data_differ_and_repeat() -> None:
    spec = TaskSpec(name="image-classification", dataset=Dataset(name="digits"), settings={"batchSize": 4})
    task = load_task(spec, None, CPU)
    probes = [Probe.of(task, kind, seed) for kind in ("noise", "data") for seed in (0, 0, 1)]
    images = [probe.inputs[0] for probe in probes]
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[3], images[4])
    for one, other in combinations((images[0], images[2], images[3], images[5]), 2):
        assert not torch.equal(one, other)
    assert torch.equal(probes[0].batches[0].targets[0], probes[3].batches[0].targets[0])
