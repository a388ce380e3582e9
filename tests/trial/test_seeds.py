"""What a trial's seed decides (weights, order, augmentation), and what it does not: which examples are in a split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset
from kubenas.api.task import Task as TaskSpec
from kubenas.space.load import build_space
from kubenas_trial import checkpoint
from kubenas_trial.architecture import default_architecture
from kubenas_trial.contract import Candidate
from kubenas_trial.datasets.data import Batch
from kubenas_trial.evaluation.train import train
from kubenas_trial.networks.build import family_of
from kubenas_trial.tasks.base import Task
from kubenas_trial.tasks.load import TASKS, load_task, task_class
from tests.trial.process import CELL, TrialProcess, message, trial_document, trial_environment
from tests.trial.test_examples import TINY
from tests.trial.training import Reports

CPU = torch.device("cpu")


class Watched(nn.Module):
    """A network that keeps its weights at first, and what it is given."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.weights = [weight.detach().clone() for weight in network.parameters()]
        self.inputs: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.inputs.append(images.clone())
        outputs: Tensor = self.network(images)
        return outputs


def watched(monkeypatch: pytest.MonkeyPatch, seed: int, *, augmentation: bool) -> Watched:
    """A training of an epoch on digits."""
    spec = TaskSpec(
        name="image-classification",
        dataset=Dataset(name="digits"),
        settings={"augmentation": augmentation, "network": {"channels": 2, "cellsPerStack": 1}},
    )
    task = load_task(spec, None, CPU)
    build: Callable[..., nn.Module] = task.build
    made: list[Watched] = []

    def build_watched(*given: Any) -> nn.Module:
        made.append(Watched(build(*given)))
        return made[0]

    monkeypatch.setattr(task, "build", build_watched)
    space = SearchSpace(preset="nasbench201")
    candidate = Candidate("0", build_space(space).parse(CELL), epochs=1, resume_from=None)
    train(task, space, candidate, seed, Reports())
    # The first is given an example to count its operations.
    return made[0]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_the_seed_decides_weights_order_and_augmentation(monkeypatch: pytest.MonkeyPatch) -> None:
    first, again, other = (watched(monkeypatch, seed, augmentation=False) for seed in (1, 1, 2))
    assert same(first.weights, again.weights)
    assert not same(first.weights, other.weights)
    assert same(first.inputs, again.inputs)
    assert not same(first.inputs, other.inputs)
    # In another order, but the same examples. One is left out, so that no batch has one alone.
    rows = [{tuple(image.flatten().tolist()) for batch in each.inputs for image in batch} for each in (first, other)]
    assert len(rows[0] ^ rows[1]) <= 2
    moved, moved_again, moved_otherwise = (watched(monkeypatch, seed, augmentation=True) for seed in (1, 1, 2))
    assert same(moved.inputs, moved_again.inputs)
    assert not same(moved.inputs, first.inputs)
    assert not same(moved.inputs, moved_otherwise.inputs)


def content(task: Task[Any, Any]) -> list[list[Tensor]]:
    """The first examples of validation and test, and how many there are."""
    found = []
    for examples in (task.data.validation, task.data.test):
        batch: Batch = examples[list(range(min(len(examples), 16)))]
        found.append([torch.tensor(len(examples)), *batch.inputs, *batch.targets])
    return found


@pytest.mark.parametrize("name", TASKS)
def test_the_split_does_not_depend_on_any_seed_but_its_own(name: str) -> None:
    """Loading draws nothing from torch's generator, which is what a trial's seed seeds."""
    kind = task_class(name)
    spec = TaskSpec(name=name, dataset=Dataset(name=next(iter(kind.built_in))))
    contents = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        contents.append(content(load_task(spec, None, CPU)))
    assert all(same(one, other) for one, other in zip(*contents, strict=True))


def test_trials_of_several_seeds_report_on_the_same_test_split(tmp_path: Path) -> None:
    """As the operator makes them: one candidate, and documents that differ by their seed."""
    results = {}
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        environment = trial_environment(folder, trial_document(seed=seed), KUBENAS_CHECKPOINT_DIR=str(folder))
        with TrialProcess(environment, warm=True) as trial:
            assert trial.exit_code() == 0, trial.log
        [result] = message(folder)["results"]
        results[seed] = result["metrics"]
    first, second = (checkpoint.load(tmp_path / str(seed) / "0.safetensors", CELL).model for seed in (1, 2))
    assert not torch.equal(first["output.weight"], second["output.weight"])
    # Shares of right answers among as many.
    data = load_task(TaskSpec(name="image-classification", dataset=Dataset(name="digits")), None, CPU).data
    for metrics in results.values():
        for name, examples in (("accuracy", data.validation), ("test_accuracy", data.test)):
            right = metrics[name] * len(examples)
            assert right == pytest.approx(round(right), abs=1e-6)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_ends_with_its_metrics_on_the_test_split(name: str) -> None:
    kind = task_class(name)
    dataset = "karate-club" if name == "node-classification" else next(iter(kind.built_in))
    task = load_task(TaskSpec(name=name, dataset=Dataset(name=dataset), settings=TINY[name]), None, CPU)
    # What is measured, not how well: a few examples do.
    space = SearchSpace.model_validate({"preset": kind.preset})
    architecture = default_architecture(build_space(space), family_of(space, kind.families, name).default)
    reports = Reports()
    train(shortened(task), space, Candidate("0", architecture, 1, None), 0, reports)
    *_, last, final = reports.all
    own = last.keys() - {"params", "flops", "seconds", "peak_memory_mb", *build_space(space).costs(architecture)}
    assert kind.metric in own
    assert final.keys() - last.keys() == {f"test_{metric}" for metric in own}


def shortened(task: Task[Any, Any]) -> Task[Any, Any]:
    """The task with a few examples in each split."""
    for split in ("train", "validation", "test"):
        found = getattr(task.data, split)
        if len(found) > 64:
            object.__setattr__(task.data, split, First(found, 64))
    return task


class First:
    """The first examples, with all else that they know."""

    def __init__(self, examples: Any, count: int) -> None:
        self._examples, self._count = examples, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, indices: list[int]) -> Batch:
        batch: Batch = self._examples[indices]
        return batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._examples, name)
