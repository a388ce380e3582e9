"""A network trained by several processes, as on a pod with several GPUs; here on the CPU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # there, but not in its list

from kubenas_trial import distributed
from kubenas_trial.tasks.load import TASKS, task_class
from kubenas_trial.threads import cpu_limit
from tests.trial.process import (
    PATIENCE_SECONDS,
    TrialProcess,
    checkpoints_in,
    error_of,
    message,
    trial_document,
    trial_environment,
)

# Trains without anything that differs between one process and two (normalization, dropout), on whole batches only.
TRAINING = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from kubenas.api.task import Dataset, Task
from kubenas.api.space import SearchSpace
from kubenas.space.load import build_space
from kubenas_trial.distributed import joined
from kubenas_trial.evaluation.epochs import seed_epoch
from kubenas_trial.evaluation.training import Training
from kubenas_trial.tasks.load import load_task

class First:
    def __init__(self, examples):
        self.examples = examples

    def __len__(self):
        return 1024

    def __getitem__(self, indices):
        allocate(len(indices), 2)
        return self.examples[indices]

def allocate(examples, at):
    # In the process that has less memory.
    if len(sys.argv) > 4 and settings["accumulate"] == at and examples > int(sys.argv[4]):
        raise MemoryError("no room")

folder, name, batch = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
space = SearchSpace.model_validate({"parameters": [{"name": "hidden", "type": "int", "min": 8, "max": 32}]})
settings = {"batchSize": batch, "learningRate": 0.05, "augmentation": False}
with joined(print) as device:
    for accumulate in (1, 2):
        settings["accumulate"] = accumulate
        spec = Task(name="image-classification", dataset=Dataset(name="digits"), settings=settings)
        task = load_task(spec, None, device)
        task.data = replace(task.data, train=First(task.data.train))
        loss = task.loss
        task.loss = lambda network, batch: allocate(len(batch.inputs[0]), 1) or loss(network, batch)
        seed_epoch(1, "0", 0)
        training = Training(task, task.build(build_space(space).parse({"hidden": 16}), space), epochs=2)
        for epoch in (1, 2):
            training.train_epoch(epoch, seed_epoch(1, "0", epoch))
        torch.save(training.network.state_dict(), folder / f"{name}-{accumulate}.pt")
        (folder / f"{name}-{accumulate}.size").write_text(str(training.memory.get("reduced_batch_size")))
"""


def start(script: Path, *arguments: object, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1", **environment})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a process alone, and of two with half the batch."""
    folder = tmp_path_factory.mktemp("trained")
    script = folder / "training.py"
    script.write_text(TRAINING)
    joint, _store = joined_environment()
    processes = [
        start(script, folder, "alone", 64),
        *(start(script, folder, rank, 32, RANK=str(rank), **joint) for rank in range(2)),
    ]
    assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0, 0, 0]
    return folder


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_with_half_the_batch_learn_the_same_weights(trained: Path, accumulate: int) -> None:
    alone, first, second = (torch.load(trained / f"{name}-{accumulate}.pt") for name in ("alone", "0", "1"))
    for name, weights in alone.items():
        torch.testing.assert_close(first[name], weights, rtol=1e-4, atol=1e-5)
        assert torch.equal(first[name], second[name])


@pytest.mark.parametrize("short", [0, 1])
def test_all_processes_halve_their_batches_where_one_is_out_of_memory(trained: Path, short: int) -> None:
    script = trained / "training.py"
    joint, _store = joined_environment()
    processes = [
        start(script, trained, f"halved{rank}", 32, *([16] if rank == short else []), RANK=str(rank), **joint)
        for rank in range(2)
    ]
    assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0, 0]
    # While a loss is computed with one batch a step, while a batch is read with two.
    for accumulate in (1, 2):
        assert [(trained / f"halved{rank}-{accumulate}.size").read_text() for rank in range(2)] == ["16.0", "16.0"]
        alone, first, second = (
            torch.load(trained / f"{name}-{accumulate}.pt") for name in ("alone", "halved0", "halved1")
        )
        for name, weights in alone.items():
            torch.testing.assert_close(first[name], weights, rtol=1e-4, atol=1e-5)
            assert torch.equal(first[name], second[name])


def joined_environment() -> tuple[dict[str, str], TCPStore]:
    """What two processes join by, as long as the store is there."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    return {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}, store


def joint_environment(folder: Path, epochs: int, **document: Any) -> dict[str, str]:
    whole = trial_document(**document)
    whole["candidates"][0]["epochs"] = epochs
    checkpoints = folder / "checkpoints"
    return trial_environment(folder, whole, KUBENAS_PROCESSES="2", KUBENAS_CHECKPOINT_DIR=str(checkpoints))


def test_a_trial_of_two_processes_has_one_result(tmp_path: Path) -> None:
    with TrialProcess(joint_environment(tmp_path, 2)) as trial:
        assert trial.exit_code() == 0, trial.log
    [result] = message(tmp_path)["results"]
    assert result["step"] == 2
    assert {"accuracy", "test_accuracy", "params", "seconds"} <= set(result["metrics"])
    assert checkpoints_in(tmp_path / "checkpoints")
    assert trial.log.count("epoch 1/2") == 1


@pytest.mark.parametrize(("given", "expected"), [("", max(1, cpu_limit() // 2)), ("3", 3)])
def test_processes_share_the_cpus(tmp_path: Path, given: str, expected: int) -> None:
    environment = joint_environment(tmp_path, 10_000) | ({"OMP_NUM_THREADS": given} if given else {})
    trainer = "import os; os.environ['OMP_NUM_THREADS'] or os.environ.pop('OMP_NUM_THREADS'); " * (not given)
    trainer += "import runpy; runpy.run_module('kubenas_trial', run_name='__main__')"
    with TrialProcess(environment | {"OMP_NUM_THREADS": given}, ("-c", trainer)) as trial:
        trial.wait_for(lambda: bool(checkpoints_in(tmp_path / "checkpoints")))
        [other] = children(trial.pid)
        variables = Path(f"/proc/{other}/environ").read_bytes().split(b"\0")
        assert f"OMP_NUM_THREADS={expected}".encode() in variables


# Loads the data of each task; each load is a line in a file.
LOADED = """
import sys
from kubenas.api.task import Dataset, Task
from kubenas_trial.distributed import joined, rank
from kubenas_trial.tasks import load

whole = load.load_data
folder, *tasks = sys.argv[1:]

def counted(*arguments):
    with open(f"{folder}/{name}-loads", "a") as file:
        print(rank(), file=file)
    return whole(*arguments)

load.load_data = counted
with joined(print) as device:
    for name, dataset in zip(tasks[::2], tasks[1::2], strict=True):
        task = load.load_task(Task(name=name, dataset=Dataset(name=dataset)), None, device)
        batch = next(task.batches(task.data.validation))
        sums = [float(each.double().sum()) for each in (*batch.inputs, *batch.targets)]
        with open(f"{folder}/{name}-{rank()}", "w") as file:
            print(len(task.data.train), sums, file=file)
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes have loaded of each task's first data set."""
    folder = tmp_path_factory.mktemp("loaded")
    script = folder / "loading.py"
    script.write_text(LOADED)
    joint, _store = joined_environment()
    tasks = [word for name in TASKS for word in (name, next(iter(task_class(name).built_in)))]
    processes = [start(script, folder, *tasks, RANK=str(rank), **joint) for rank in range(2)]
    assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0, 0]
    return folder


@pytest.mark.parametrize("task", TASKS)
def test_data_are_loaded_once_for_all_processes(loaded: Path, task: str) -> None:
    assert (loaded / f"{task}-loads").read_text().split() == ["0"]
    assert (loaded / f"{task}-0").read_text() == (loaded / f"{task}-1").read_text()


def test_sigterm_ends_all_and_leaves_a_checkpoint(tmp_path: Path) -> None:
    with TrialProcess(joint_environment(tmp_path, 10_000)) as trial:
        trial.wait_for(lambda: bool(checkpoints_in(tmp_path / "checkpoints")))
        [other] = children(trial.pid)
        trial.send(signal.SIGTERM)
        assert trial.exit_code() == 143
        assert not Path(f"/proc/{other}").exists()


def test_a_candidate_that_is_stopped_ends_in_all_processes_and_the_next_one_is_trained(tmp_path: Path) -> None:
    """Rank 0 alone hears of it, in the middle of an epoch."""
    environment = joint_environment(tmp_path, 10_000)
    document = json.loads(environment["KUBENAS_TRIAL"])
    (first,) = document["candidates"]
    document["candidates"] = [first, {**first, "id": "1", "epochs": 1}]
    environment |= {"KUBENAS_TRIAL": json.dumps(document), "KUBENAS_STOP_TOKEN": "secret"}
    with TrialProcess(environment) as trial:
        trial.wait_for(lambda: bool(checkpoints_in(tmp_path / "checkpoints")))
        httpx.post(trial.url("/stop"), data={"token": "secret", "candidates": "0"}).raise_for_status()
        assert trial.exit_code() == 0, trial.log
    results = {result["candidate"]: result for result in message(tmp_path)["results"]}
    assert 1 <= results["0"]["step"] < 10_000
    assert results["1"]["step"] == 1
    assert "test_accuracy" in results["1"]["metrics"]
    assert "test_accuracy" not in results["0"]["metrics"]


def test_a_rank_that_dies_fails_the_trial(tmp_path: Path) -> None:
    with TrialProcess(joint_environment(tmp_path, 10_000)) as trial:
        trial.wait_for(lambda: bool(checkpoints_in(tmp_path / "checkpoints")))
        os.kill(children(trial.pid)[0], signal.SIGKILL)
        assert trial.exit_code() == 1
    assert error_of(tmp_path) == ("RankFailed", "process 1 of 2 was ended by SIGKILL")


def test_a_number_of_processes_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with TrialProcess(joint_environment(tmp_path, 1) | {"KUBENAS_PROCESSES": "two"}) as trial:
        assert trial.exit_code() == 64
    assert error_of(tmp_path) == ("InvalidTrial", "KUBENAS_PROCESSES is 'two': give a whole number of at least 1")


@given(st.integers(1, 200), st.integers(1, 9))
def test_shares_cover_all_and_are_as_long(count: int, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distributed, "world_size", lambda: size)
        shares = []
        for number in range(size):
            patch.setattr(distributed, "rank", lambda number=number: number)
            shares.append(distributed.share(range(count)))
    assert len({len(each) for each in shares}) == 1
    assert {number for each in shares for number in each} == set(range(count))
    assert sum(map(len, shares)) < count + size
    together = [number for step in zip(*shares, strict=True) for number in step]
    assert together[:count] == list(range(count))


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
