"""All parts of a differentiable search fit together: each combination learns, repeats, and goes on as undisturbed."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from kubenas.api.space import SearchSpace
from kubenas_trial.differentiable.collapse import Signs
from kubenas_trial.differentiable.halves import Part
from kubenas_trial.differentiable.samplers.load import SAMPLERS
from kubenas_trial.differentiable.search import Search
from kubenas_trial.document import Evaluation
from kubenas_trial.evaluation.epochs import seed_epoch
from kubenas_trial.tasks.load import AnyTask
from tests.trial.test_mixture import task_of

CELL = {"nodes": 3, "operations": ["none", "skip_connect", "conv_1x1"], "none": "none", "skip": "skip_connect"}
SPACE = SearchSpace.model_validate({"cell": CELL})
EPOCHS = 3
PARTS: dict[str, tuple[Any, ...]] = {
    "sampler": tuple(SAMPLERS),
    "order": ("first", "second"),
    "perturbation": ("none", "random"),
    "partial_channels": (1, 2),
    "pruning": (False, True),
    "beta_decay": (0.0, 1.0),
}
COMBINATIONS = [dict(zip(PARTS, values, strict=True)) for values in product(*PARTS.values())]


@pytest.fixture(scope="module")
def task() -> AnyTask:
    """24 digits to learn from, half of them in each half, in steps of 12."""
    made = task_of({"channels": 4, "cellsPerStack": 1}, batchSize=12, augmentation=False)
    data = made.data
    few = replace(data, train=Part(data.train, list(range(24))), validation=Part(data.validation, list(range(16))))
    return type(made)(made.settings, few, made.device)


def search_of(task: AnyTask, **parts: Any) -> Search:
    seed_epoch(0, "0", 0)
    flops = 0.5 if parts.get("beta_decay") else 0.0
    return Search(task, SPACE, Evaluation(method="differentiable", flops_penalty=flops, **parts), EPOCHS)


def train(search: Search, first: int, last: int) -> None:
    for epoch in range(first, last + 1):
        search.train_epoch(epoch, seed_epoch(0, "0", epoch))
        search.keep(Signs(0.5, 1.0, 0.0))
        search.examples = 0


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("parts", COMBINATIONS, ids=lambda parts: "-".join(map(str, parts.values())))
def test_each_combination_changes_all_that_is_learned_and_goes_on_as_undisturbed(
    task: AnyTask, parts: dict[str, Any]
) -> None:
    undisturbed = search_of(task, **parts)
    before = {name: value.clone() for name, value in undisturbed.state().items()}
    train(undisturbed, 1, 1)
    half = {name: value.clone() for name, value in undisturbed.state().items()}
    train(undisturbed, 2, EPOCHS)
    after = undisturbed.state()
    deciding = [name for name in before if name.startswith(("mixture.alphas", "mixture.strengths"))]
    assert len(deciding) == parts["partial_channels"]
    for name in [*deciding, "mixture.network.stem.k3.weight", "mixture.network.output.weight"]:
        assert not torch.equal(after[name], before[name])
        assert after[name].isfinite().all()
    kept = after["mixture.kept0"]
    assert int(kept.sum()) == (3 * 2 if parts["pruning"] else 3 * 3)
    # The same again, from the middle on.
    resumed = search_of(task, **parts)
    resumed.load_state(half)
    train(resumed, 2, EPOCHS)
    assert same(resumed.state(), after)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("order", PARTS["order"])
def test_what_is_learned_lowers_the_loss(task: AnyTask, sampler: str, order: str) -> None:
    search = search_of(task, sampler=sampler, order=order)
    first = search.judge(None)["loss"]
    for _ in range(5):
        train(search, 1, EPOCHS)
    assert search.judge(None)["loss"] < first


def test_weights_and_alphas_learn_from_the_two_halves_of_the_training_split(
    task: AnyTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, set[int]] = {"alphas": set(), "weights": set()}
    search = search_of(task, sampler="darts")
    original = type(task).loss

    def loss(self: AnyTask, network: Any, batch: Any) -> Tensor:
        # While alphas learn the network's weights are held.
        part = "weights" if search.mixture.learned else "alphas"
        seen[part] |= {hash(image.numpy().tobytes()) for image in batch.inputs[0]}
        return original(self, network, batch)

    monkeypatch.setattr(type(task), "loss", loss)
    for _ in range(3):
        train(search, 1, EPOCHS)
    train_split = {hash(image.numpy().tobytes()) for image in task.data.train[list(range(24))].inputs[0]}
    assert seen["weights"] | seen["alphas"] == train_split
    assert not seen["weights"] & seen["alphas"]
    assert len(seen["weights"]) == 12


def test_judging_leaves_the_search_as_it_is(task: AnyTask) -> None:
    search = search_of(task, sampler="gdas")
    train(search, 1, 1)
    before = {name: value.clone() for name, value in search.state().items()}
    search.signs(1)
    with search.restored(1):
        found = search.judge(search.mixture.derive())
    assert found.keys() == {"accuracy", "loss"}
    mixed = search.judge(None)
    assert mixed != found
    after = search.state()
    counted = {name for name in before if name.endswith("num_batches_tracked")}
    assert same(
        {n: v for n, v in before.items() if n not in counted}, {n: v for n, v in after.items() if n not in counted}
    )


def test_alphas_go_back_to_those_of_an_epoch(task: AnyTask) -> None:
    search = search_of(task, sampler="darts", partial_channels=2)
    train(search, 1, 1)
    first = [each.detach().clone() for each in search.mixture.deciding]
    train(search, 2, 3)
    assert not torch.equal(search.mixture.alphas[0], first[0])
    search.restore(1)
    assert all(torch.equal(one, own) for one, own in zip(search.mixture.deciding, first, strict=True))


def test_a_search_of_any_length_can_move_alphas_as_far(task: AnyTask) -> None:
    rates = [
        Search(task, SPACE, Evaluation(method="differentiable"), epochs).alphas_optimizer.param_groups[0]["lr"]
        for epochs in (1, 100, 1000)
    ]
    # A step an epoch: DARTS' 50 epochs of 390 steps at 3e-4, but at most 0.1.
    assert rates == pytest.approx([0.1, 3e-4 * 50 * 390 / 100, 3e-4 * 50 * 390 / 1000])
