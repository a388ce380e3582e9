"""Each part of a differentiable search by itself, on problems small enough to know the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from kubenas.api.space import Preset, SearchSpace
from kubenas.api.unfit import OF_CELLS
from kubenas.space.load import build_space
from kubenas_trial.differentiable.choices import cell_choices
from kubenas_trial.differentiable.hessian import largest_eigenvalue
from kubenas_trial.differentiable.order import first_order, second_order
from kubenas_trial.differentiable.partial_channels import PartialChannels, normalized
from kubenas_trial.differentiable.perturbation import noise_at, perturbed
from kubenas_trial.differentiable.pruning import operations_at, prune
from kubenas_trial.differentiable.regularizers import beta_decay, expected_flops
from kubenas_trial.differentiable.samplers.load import SAMPLERS
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.networks.build import family_of
from kubenas_trial.tasks.load import TASKS, task_class

# Of all tasks, each with its spaces.
FAMILIES = [(task, preset) for task in TASKS for preset in task_class(task).families if preset in get_args(Preset)]
ALPHAS = torch.tensor([[0.0, 1.0, -1.0, 0.5], [2.0, 0.0, 0.0, -2.0]])
KEPT = torch.tensor([[True, True, True, True], [True, False, True, True]])
DRAWS = 4000


def draws(name: str, alphas: Tensor, progress: float, number: int = DRAWS) -> Tensor:
    torch.manual_seed(0)
    sampler = SAMPLERS[name]
    return torch.stack([sampler.draw(sampler.mean(alphas, KEPT), alphas, progress) for _ in range(number)])


@pytest.mark.parametrize(("task", "preset"), FAMILIES)
def test_operations_are_mixed_in_the_presets_that_the_operator_knows(task: str, preset: str) -> None:
    spec = SearchSpace.model_validate({"preset": preset})
    try:
        mixes = bool(cell_choices(build_space(spec)))
    except InvalidTrialError:
        mixes = False
    mixes = mixes and family_of(spec, task_class(task).families, task).of_cells is not None
    assert mixes == (preset in OF_CELLS)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("progress", [0.0, 1.0])
def test_weights_are_shares_of_what_is_kept(name: str, progress: float) -> None:
    mean = SAMPLERS[name].mean(ALPHAS, KEPT)
    for weights in (mean, *draws(name, ALPHAS, progress, 20)):
        assert torch.allclose(weights.sum(-1), torch.ones(2))
        assert weights[1, 1] == pytest.approx(0, abs=1e-6)
        assert (weights >= 0).all()
    # Larger alphas have larger weights.
    assert mean[0].argsort().tolist() == ALPHAS[0].argsort().tolist()


@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_have_the_mean_that_they_should(name: str) -> None:
    # Relaxed samples have it in the limit of no temperature only; at SNAS' last one of 0.33 it is close.
    mean = draws(name, ALPHAS, 1.0).mean(0)
    assert torch.allclose(mean, SAMPLERS[name].mean(ALPHAS, KEPT), atol=0.05 if name == "snas" else 0.03)


def test_drnas_draws_as_often_near_a_corner_as_its_concentrations_say() -> None:
    # The variance of a Dirichlet's share: m (1 - m) / (sum of the concentrations + 1).
    found = draws("drnas", ALPHAS, 0.0)
    concentrations = (torch.nn.functional.elu(ALPHAS) + 1) * KEPT
    total = concentrations.sum(-1, keepdim=True)
    mean = concentrations / total
    assert torch.allclose(found.var(0), mean * (1 - mean) / (total + 1), atol=0.01)


@pytest.mark.parametrize("name", SAMPLERS)
def test_alphas_learn_through_draws_to_choose_what_costs_least(name: str) -> None:
    torch.manual_seed(0)
    alphas = torch.zeros(2, 4, requires_grad=True)
    costs = torch.tensor([[3.0, 2.0, 1.0, 2.0], [0.0, -5.0, 1.0, 2.0]])
    optimizer = torch.optim.Adam([alphas], lr=0.1)
    sampler = SAMPLERS[name]
    for step in range(150):
        optimizer.zero_grad()
        weights = sampler.draw(sampler.mean(alphas, KEPT), alphas, step / 150)
        torch.autograd.backward((weights * costs).sum())
        assert alphas.grad is not None
        assert alphas.grad.isfinite().all()
        optimizer.step()
    # What is pruned is never chosen.
    assert sampler.mean(alphas, KEPT).argmax(-1).tolist() == [2, 0]


def test_only_gdas_has_one_operation_in_a_draw() -> None:
    for name, sampler in SAMPLERS.items():
        ones = [bool(((each == 1) | (each.abs() < 1e-6)).all()) for each in draws(name, ALPHAS, 0.0, 20)]
        assert all(ones) == sampler.hard == (name == "gdas")


def test_snas_comes_closer_to_a_choice_as_the_search_goes_on() -> None:
    entropies = [torch.special.entr(draws("snas", ALPHAS, progress, 200)).sum(-1).mean() for progress in (0, 0.5, 1)]
    assert all(later < earlier for earlier, later in pairwise(entropies))


def test_noise_rises_and_leaves_shares_of_what_is_kept() -> None:
    assert [noise_at(0), noise_at(1)] == pytest.approx([0.03, 0.3])
    torch.manual_seed(0)
    mean = SAMPLERS["darts"].mean(ALPHAS, KEPT)
    found = torch.stack([perturbed(mean, 0.1) for _ in range(200)])
    assert torch.allclose(found.sum(-1), torch.ones(200, 2))
    assert (found[:, 1, 1] == 0).all()
    assert 0.02 < float((found - mean).abs().max()) < 0.2


def test_pruning_leaves_the_shares_of_p_darts() -> None:
    assert [operations_at(progress, 8) for progress in (0, 0.33, 0.34, 0.66, 0.67, 1)] == [8, 8, 5, 5, 3, 3]
    assert [operations_at(1, operations) for operations in (1, 2, 3)] == [1, 2, 2]


def test_pruning_takes_the_weakest_and_brings_none_back() -> None:
    weights, kept = torch.tensor([[0.1, 0.4, 0.3, 0.2]]), torch.ones(1, 4, dtype=torch.bool)
    prune(weights, kept, 3)
    assert kept.tolist() == [[False, True, True, True]]
    prune(torch.tensor([[0.9, 0.05, 0.03, 0.02]]), kept, 2)
    assert kept.tolist() == [[False, True, True, False]]


def test_beta_decay_pulls_the_largest_alpha_most() -> None:
    alphas = ALPHAS.clone().requires_grad_()
    torch.autograd.backward(beta_decay([alphas]))
    assert alphas.grad is not None
    assert torch.allclose(alphas.grad, alphas.detach().softmax(-1) / 2)


def test_expected_flops_are_the_mean_cost_as_a_share_of_the_most() -> None:
    weights, flops = torch.tensor([[0.25, 0.75], [1.0, 0.0]]), torch.tensor([[0.0, 80.0], [20.0, 10.0]])
    assert float(expected_flops([weights], [flops])) == pytest.approx((60 + 20) / 100)


def test_partial_channels_mix_the_first_and_interleave_the_rest() -> None:
    inputs = torch.arange(8.0).view(1, 8, 1, 1)
    part = PartialChannels(4, 8, 1, lambda channels: torch.nn.Conv2d(channels, channels, 1), lambda: torch.tensor(2.0))
    with torch.no_grad():
        part.operations.weight.zero_()  # type: ignore[operator]
        part.operations.bias.fill_(-1)  # type: ignore[operator]
    assert part(inputs).flatten().tolist() == [-2, 4, 8, 12, -2, 6, 10, 14]
    halved = PartialChannels(2, 4, 2, lambda c: torch.nn.Conv2d(c, c, 3, 2, 1), lambda: torch.tensor(1.0))
    assert halved(torch.zeros(1, 4, 7, 5)).shape == (1, 4, 4, 3)
    with pytest.raises(InvalidTrialError, match=r"evaluation\.partialChannels: 6 channels cannot be divided by 4"):
        PartialChannels(4, 6, 1, torch.nn.Identity, lambda: torch.tensor(1.0))


def test_strengths_are_shares_of_a_nodes_inputs() -> None:
    found = normalized(torch.tensor([0.0, math.log(3), 5.0]), [2, 2, 3])
    assert torch.allclose(found, torch.tensor([0.25, 0.75, 1.0]))


@pytest.mark.parametrize("eigenvalues", [[9.0, 3, 1, 0, -1, -2, -4], [-9.0, -7, -5, -4, -2, -1, 4], [-1.0] * 7])
def test_the_eigenvalue_is_the_largest_of_the_hessian(eigenvalues: list[float]) -> None:
    torch.manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(7, 7, dtype=torch.float64))
    matrix = basis @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ basis.T
    first, second = torch.randn(3, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)
    before = first.clone(), second.clone()

    def gradient() -> list[Tensor]:
        found = matrix @ torch.cat([first, second.flatten()])
        return [found[:3], found[3:].view(2, 2)]

    assert largest_eigenvalue(gradient, [first, second]) == pytest.approx(max(eigenvalues), abs=0.3)
    assert torch.equal(first, before[0])
    assert torch.equal(second, before[1])


def test_the_second_order_is_the_exact_gradient_through_a_step() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()
    alphas = torch.randn(2, dtype=torch.float64, requires_grad=True)
    learned = dict(network.named_parameters())
    inputs, others = torch.randn(2, 5, 3, dtype=torch.float64)
    rate = 0.5

    def loss_of(weights: Mapping[str, Tensor], of: Tensor) -> Tensor:
        outputs = functional_call(network, dict(weights), (of,))
        loss: Tensor = ((outputs * alphas.softmax(0)) ** 2).mean() + (outputs * alphas).sum() / 10
        return loss

    found = second_order(
        lambda: loss_of(learned, others), lambda: loss_of(learned, inputs), [alphas], list(learned.values()), rate
    )
    steps = torch.autograd.grad(loss_of(learned, inputs), list(learned.values()), create_graph=True)
    moved = {name: weight - rate * step for (name, weight), step in zip(learned.items(), steps, strict=True)}
    [exact] = torch.autograd.grad(loss_of(moved, others), [alphas])
    [first] = first_order(lambda: loss_of(learned, others), [alphas])
    assert torch.allclose(found[0], exact, atol=1e-4)
    # The two orders differ by far more than that.
    assert not torch.allclose(first, exact, atol=1e-2)
