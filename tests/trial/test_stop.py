"""A training that is stopped ends with the step that it is in, and may go on from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset, Task
from kubenas.space.load import build_space
from kubenas_trial import checkpoint
from kubenas_trial.contract import Candidate
from kubenas_trial.evaluation.train import train
from kubenas_trial.storage.checkpoints import CheckpointStore
from kubenas_trial.tasks.load import load_task
from tests.trial.training import Reports

BATCH = 64
SPACE = SearchSpace.model_validate({"parameters": [{"name": "hidden", "type": "int", "min": 8, "max": 32}]})


class Kept(Reports):
    """A reporter with checkpoints in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.store = CheckpointStore(str(folder / "0.safetensors"))

    def checkpoints(self, candidate: Candidate) -> Any:  # noqa: ARG002
        return self.store


def trained(reports: Kept, stop_at: int | None = None) -> tuple[nn.Module, int]:
    """The network of two epochs, or of fewer where it is stopped when asked so many times; how often it was asked."""
    settings = {"batchSize": BATCH, "learningRate": 0.05}
    task = load_task(
        Task(name="image-classification", dataset=Dataset(name="digits"), settings=settings), None, torch.device("cpu")
    )
    candidate = Candidate("0", build_space(SPACE).parse({"hidden": 16}), 2, None)
    asked = 0

    def should_stop(_: Candidate) -> bool:
        nonlocal asked
        asked += 1
        return asked == stop_at

    return train(task, SPACE, candidate, 1, reports, should_stop=should_stop), asked


def test_it_ends_with_a_step_and_a_checkpoint_and_goes_on_as_if_undisturbed(tmp_path: Path) -> None:
    whole, _ = trained(Kept(tmp_path / "whole"))
    stopped = Kept(tmp_path / "stopped")
    _, asked = trained(stopped, stop_at=3)
    assert asked == 3, "nothing is trained after it"
    assert len(stopped.all) == 1, "it has not reported anything since the first epoch"
    state = checkpoint.newest(stopped.store)
    assert state is not None
    assert (state.step, state.examples) == (1, 3 * BATCH)
    on, _ = trained(stopped)
    assert len(stopped.all) > 2
    for name, tensor in whole.state_dict().items():
        assert torch.equal(on.state_dict()[name], tensor), name


def test_before_its_first_report_it_is_not_stopped(tmp_path: Path) -> None:
    """It would have no result."""
    reports = Kept(tmp_path)
    trained(reports, stop_at=1)
    assert len(reports.all) == 1
