"""What the training of a supernet changes: the sub-networks of its steps, as a training alone would, and no others."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch

from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture
from kubenas.space.load import build_space
from kubenas_trial.evaluation.epochs import seed_epoch
from kubenas_trial.evaluation.supernet_training import SupernetTraining
from kubenas_trial.evaluation.training import Training
from kubenas_trial.step import Step
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.rules.base import Paths, Unbranched
from kubenas_trial.supernets.supernet import Supernet
from kubenas_trial.tasks.base import Task
from tests.trial.limited_memory import digits

# Depths, kernels and widths, so that a sub-network has slices, and operations, so that it lacks parameters.
SPEC = SearchSpace.model_validate(
    {
        "macro": {
            "stages": [
                {
                    "name": "first",
                    "depth": [1, 2],
                    "kernel": [3, 5],
                    "width": [2, 4],
                    "operation": ["conv", "sep_conv"],
                },
                {"name": "second", "depth": [1], "width": [4, 8], "operation": ["conv", "residual"]},
            ]
        }
    }
)
SPACE = build_space(SPEC)
SGD = {"optimizer": "sgd", "learningRate": 0.1, "weightDecay": 0.1}
ADAMW = {"optimizer": "adamw", "learningRate": 0.01, "weightDecay": 0.1}


class Given(Unbranched):
    """The same architectures in each step, or each step's own."""

    def __init__(self, *steps: Architecture) -> None:
        self._steps = steps

    def __call__(self, step: Step) -> Paths:
        return Paths([self._steps[step.number % len(self._steps)]])


def task_of(settings: dict[str, Any]) -> Task[Any, Any]:
    return digits(batchSize=256, network={"channels": 2}, **settings)


def supernet_of(task: Task[Any, Any]) -> Supernet:
    torch.manual_seed(0)
    return Supernet.of(SPACE, Networks.of(task, SPEC), task.device)


@pytest.mark.parametrize("settings", [SGD, SGD | {"clipNorm": 0.1}, ADAMW], ids=["sgd", "clipped", "adamw"])
@pytest.mark.parametrize("draw", range(3))
def test_one_subnetwork_learns_what_it_would_learn_alone(draw: int, settings: dict[str, Any]) -> None:
    task = task_of(settings)
    supernet, architecture = supernet_of(task), SPACE.sample(Random(draw))
    alone = task.build(architecture, SPEC)
    alone.load_state_dict(supernet.weights(architecture), strict=False)
    before = {name: weight.detach().clone() for name, weight in alone.named_parameters()}
    Training(task, alone, epochs=1).train_epoch(1, seed_epoch(0, "0", 1))
    SupernetTraining(task, supernet, Given(architecture), epochs=1).train_epoch(1, seed_epoch(0, "0", 1))
    after = {name: weight.detach() for name, weight in alone.named_parameters()}
    assert any(not torch.equal(before[name], weight) for name, weight in after.items())
    torch.testing.assert_close(supernet.weights(architecture), after)


@pytest.mark.parametrize("settings", [SGD, ADAMW], ids=["sgd", "adamw"])
def test_operations_that_a_step_does_not_train_neither_decay_nor_go_on_by_their_momentum(
    settings: dict[str, Any],
) -> None:
    task = task_of(settings)
    supernet = supernet_of(task)
    one = SPACE.sample(Random(0))
    residual, conv = ({**one, "second_operation.0": name} for name in ("residual", "conv"))
    first, second = map(Architecture, (residual, conv))
    training = SupernetTraining(task, supernet, Given(first, second), epochs=1)
    batch = task.data.train[list(range(64))]
    training.step([batch], Step(seed=0, number=0, progress=0.0))
    trained = {name: weight for name, weight in supernet.named_parameters() if ".residual." in name}
    before = {name: weight.detach().clone() for name, weight in trained.items()}
    assert trained
    training.step([batch], Step(seed=0, number=1, progress=0.5))
    assert all(torch.equal(weight, before[name]) for name, weight in trained.items())
    training.step([batch], Step(seed=0, number=2, progress=0.6))
    assert not any(torch.equal(weight, before[name]) for name, weight in trained.items() if weight.grad is not None)
