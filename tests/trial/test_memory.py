"""Memory of training: its counted peak, activation checkpointing, and what happens when it runs out."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmarks.memory import of_search, task_of
from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture
from kubenas.space.load import build_space
from kubenas_trial.contract import Candidate
from kubenas_trial.differentiable.search import Search
from kubenas_trial.document import Evaluation
from kubenas_trial.errors import InvalidTrialError, TrialError
from kubenas_trial.evaluation.checkpointing import blocks, checkpointed
from kubenas_trial.evaluation.peak import peak_of_training
from kubenas_trial.evaluation.supernet_training import SupernetTraining
from kubenas_trial.evaluation.train import train
from kubenas_trial.evaluation.training import Training
from kubenas_trial.measure.live_memory import LiveMemory
from kubenas_trial.networks.build import family_of
from kubenas_trial.step import Step
from kubenas_trial.storage.checkpoints import CheckpointStore
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.rules.load import rule_class
from kubenas_trial.supernets.supernet import Supernet
from kubenas_trial.tasks.load import task_class
from tests.properties import examples
from tests.trial.limited_memory import MEGABYTE, Wide, digits
from tests.trial.test_exports import CASES, KINDS, drawn_network
from tests.trial.training import Reports

CPU = torch.device("cpu")


@given(sizes=st.lists(st.integers(1, 1000), min_size=1, max_size=6), kept=st.integers(0, 5))
def test_live_memory_is_what_is_referred_to(sizes: list[int], kept: int) -> None:
    held = torch.zeros(10)
    with LiveMemory([held, held[:5]]) as memory:
        alive = [torch.zeros(size) for size in sizes]
        views = [each[:1] for each in alive]
        assert memory.bytes == memory.peak == 4 * (10 + sum(sizes))
        del alive[kept:]
        assert memory.bytes == 4 * (10 + sum(sizes)), "a view keeps all of it"
        del views[kept:]
        assert memory.bytes == 4 * (10 + sum(sizes[:kept]))
        alive.append(torch.zeros(1))
        assert memory.peak == max(4 * (10 + sum(sizes)), memory.bytes)


def test_live_memory_sees_what_autograd_keeps() -> None:
    weight = torch.ones(1000, requires_grad=True)
    with LiveMemory([weight]) as memory:
        total = weight.sin().cos().sum()
        # The inputs of both functions, of which one is the weight itself.
        assert memory.bytes == pytest.approx(4 * 2000, abs=100)
        torch.autograd.backward(total)
        del total
        assert memory.bytes == pytest.approx(4 * 2000, abs=100), "the weight and its gradient"
    assert memory.peak == pytest.approx(4 * 4000, abs=4 * 1100)


def test_twice_the_activations_are_twice_the_peak() -> None:
    task = digits(batchSize=32, augmentation=False)
    batch = task.data.train[list(range(32))]
    few, many, more = (peak_of_training(task, Wide(layers), batch) for layers in (10, 20, 40))
    layer = 32 * 64 * 50 * 4 / MEGABYTE
    assert many - few == pytest.approx(10 * layer, rel=0.01)
    assert more - many == pytest.approx(20 * layer, rel=0.01)


@pytest.mark.parametrize(("optimizer", "copies"), [("adamw", 4), ("sgd", 3)])
def test_the_peak_has_weights_gradients_and_the_optimizers_state(optimizer: str, copies: int) -> None:
    task = digits(optimizer=optimizer, batchSize=2)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 20_000), nn.Linear(20_000, 10))
    weights = sum(each.numel() for each in network.parameters()) * 4 / MEGABYTE
    peak = peak_of_training(task, network, task.data.train[[0, 1]])
    # What the optimizer's arithmetic takes for a moment is some more copies of a weight.
    assert copies * weights < peak < (copies + 3) * weights


def test_later_steps_take_no_more_than_the_first_is_said_to() -> None:
    task = digits(batchSize=32)
    batch = task.data.train[list(range(32))]
    training = Training(task, task.build(default("nasbench201"), space("nasbench201")), epochs=1)
    training.step([batch], Step(seed=0, number=0, progress=0.0))
    first = training.memory["peak_memory_mb"]
    state = [each for of in training.optimizer.state.values() for each in of.values()]
    held = [*training.network.parameters(), *training.network.buffers(), *state, *batch.inputs, *batch.targets]
    with LiveMemory(held) as memory:
        training.step([batch], Step(seed=0, number=0, progress=0.0))
    assert memory.peak / MEGABYTE == pytest.approx(first, rel=0.01)


def space(preset: str) -> SearchSpace:
    return SearchSpace.model_validate({"preset": preset})


def default(preset: str) -> Architecture:
    return Architecture(dict(family_of(space(preset), task_class("image-classification").families, "").default))


def gradients(network: nn.Module, inputs: tuple[Tensor, ...], *, checkpoint: bool) -> tuple[dict[str, Tensor], int]:
    torch.manual_seed(1)
    network.train().zero_grad()
    with LiveMemory([*network.parameters(), *network.buffers(), *inputs]) as memory:
        if checkpoint:
            with checkpointed(network):
                total = network(*inputs).square().mean()
        else:
            total = network(*inputs).square().mean()
        total.backward()
    found = {name: each.grad for name, each in network.named_parameters() if each.grad is not None}
    return found | {f"{name} (buffer)": each.clone() for name, each in network.named_buffers()}, memory.peak


@pytest.mark.parametrize(("name", "preset"), CASES)
@examples(1)
@given(seed=st.integers(0, 2**31))
def test_checkpointing_changes_no_gradient_and_no_statistics(name: str, preset: str, seed: int) -> None:
    network, kind = drawn_network(name, preset, seed), KINDS[name]
    again, inputs = copy.deepcopy(network), kind.inputs(3)
    expected, _ = gradients(network, inputs, checkpoint=False)
    found, _ = gradients(again, inputs, checkpoint=True)
    assert found.keys() == expected.keys()
    for part, value in expected.items():
        torch.testing.assert_close(found[part], value, msg=part)
    assert not [module for module in again.modules() if "forward" in module.__dict__]


@pytest.mark.parametrize("preset", ["nasbench201", "darts", "mobilenet-ofa", "vit"])
def test_checkpointing_takes_less_memory(preset: str) -> None:
    whole, saving = digits(batchSize=32), digits(batchSize=32, checkpointActivations=True)
    network, batch = whole.build(default(preset), space(preset)), whole.data.train[list(range(32))]
    assert len(blocks(network)) > 2
    plain = peak_of_training(whole, network, batch)
    assert peak_of_training(saving, network, batch) < 0.75 * plain


SEARCHES: list[dict[str, Any]] = [
    {"sampler": "drnas"},
    {"sampler": "gdas"},
    {"sampler": "darts", "order": "second"},
    {"sampler": "snas", "partial_channels": 2},
]


@pytest.mark.parametrize("parts", SEARCHES, ids=lambda parts: "-".join(map(str, parts.values())))
def test_a_checkpointed_search_finds_the_same_and_takes_less_memory(parts: dict[str, Any]) -> None:
    states, peaks = [], []
    for checkpoint in (False, True):
        task = digits(batchSize=16, network={"channels": 8}, checkpointActivations=checkpoint, augmentation=False)
        torch.manual_seed(0)
        search = Search(task, space("nasbench201"), Evaluation(method="differentiable", **parts), epochs=1)
        search.mixture.train()
        torch.manual_seed(1)
        search.step([task.data.train[list(range(16))]], Step(seed=0, number=0, progress=0.0))
        states.append(search.mixture.state_dict())
        peaks.append(search.memory["peak_memory_mb"])
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, msg=name, atol=1e-4, rtol=1e-4)
    assert peaks[1] < 0.9 * peaks[0]


def test_partial_channels_take_half_and_one_operation_a_third_of_all() -> None:
    task = task_of("nasbench201", network={"channels": 16, "cellsPerStack": 2})
    whole, partial, one = (
        of_search(task, space("nasbench201"), parts)
        for parts in ({"sampler": "darts"}, {"sampler": "darts", "partial_channels": 4}, {"sampler": "gdas"})
    )
    assert partial <= whole / 2
    assert one <= whole / 3


def test_a_checkpointed_supernet_learns_the_same() -> None:
    states = []
    for checkpoint in (False, True):
        task = digits(batchSize=16, network={"channels": 4}, checkpointActivations=checkpoint, augmentation=False)
        built, networks = build_space(space("nasbench201")), Networks.of(task, space("nasbench201"))
        torch.manual_seed(0)
        rule = rule_class("fairnas")(built, networks)
        supernet = Supernet.of(built, networks, CPU, rule.branches)
        training = SupernetTraining(task, supernet, rule, epochs=1)
        training.network.train()
        training.step([task.data.train[list(range(16))]], Step(seed=0, number=0, progress=0.0))
        states.append(supernet.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, msg=name, atol=1e-4, rtol=1e-4)


def test_checkpointing_and_compilation_do_not_go_together() -> None:
    task = digits(compile=True, checkpointActivations=True)
    with pytest.raises(InvalidTrialError, match="compile and checkpointActivations do not go together"):
        Training(task, nn.Linear(1, 1), epochs=1)


def limited(batch_size: int, room_mb: int) -> tuple[dict[str, Any], str]:
    command = [sys.executable, "-m", "tests.trial.limited_memory", str(batch_size), str(room_mb)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr


def test_batches_are_halved_once_where_memory_runs_out() -> None:
    # An example takes 40 times 12.8 KB, so 512 take 262 MB and 256 half of that.
    plain, _ = limited(512, 0)
    halved, log = limited(512, 220)
    assert plain["peak_memory_mb"] > 250
    assert halved["reduced_batch_size"] == 256
    assert halved["peak_memory_mb"] < 0.6 * plain["peak_memory_mb"]
    assert halved["scale"] == pytest.approx(plain["scale"], rel=1e-5)
    assert "out of memory with batches of 512: from here on of 256, 2 of them for a step" in log


def test_memory_that_runs_out_again_is_the_trials_end() -> None:
    failed, log = limited(512, 30)
    assert failed["reason"] == "OutOfMemory"
    assert "with batches of 256: lower task.settings.batchSize, set checkpointActivations" in failed["message"]
    assert log.count("out of memory with batches of") == 1


@given(size=st.integers(2, 100), accumulate=st.integers(1, 4))
def test_smaller_batches_make_the_same_step(size: int, accumulate: int) -> None:
    task = digits(batchSize=size, accumulate=accumulate)
    training = Training(task, nn.Linear(1, 1), epochs=1)
    training._reduce_batches(MemoryError())
    settings = training._settings
    assert settings.batch_size * settings.accumulate == size * accumulate
    assert settings.batch_size <= size / 2
    assert task.settings.batch_size == size
    with pytest.raises(TrialError, match="give the trial more memory"):
        training._reduce_batches(MemoryError("no more"))


class InFolder(Reports):
    """Reports of trials whose checkpoints are in `folder`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def checkpoints(self, candidate: Candidate) -> CheckpointStore:  # type: ignore[override]
        return CheckpointStore(self.folder / f"{candidate.id}.safetensors")


def test_a_training_that_was_done_before_keeps_its_peak(tmp_path: Path) -> None:
    task = digits(network={"channels": 4, "cellsPerStack": 1})
    candidate = Candidate("0", default("nasbench201"), 1, None)
    first, again = InFolder(tmp_path), InFolder(tmp_path)
    for reports in (first, again):
        train(task, space("nasbench201"), candidate, 0, reports)
    assert first.all[-1]["peak_memory_mb"] > 0
    assert again.all[-1]["peak_memory_mb"] == first.all[-1]["peak_memory_mb"]
