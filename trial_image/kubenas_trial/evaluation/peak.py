"""The peak of a training's memory, on its own."""

from __future__ import annotations

import gc
from typing import Any

import torch
from torch import nn

from kubenas_trial.datasets.data import Batch
from kubenas_trial.evaluation.training import Training
from kubenas_trial.step import Step
from kubenas_trial.tasks.base import Task


def reset_peak(device: torch.device) -> None:
    """Have the peak of a GPU's memory begin here, so that no candidate inherits that of an earlier one."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_of_training(task: Task[Any, Any], network: nn.Module, batch: Batch | None = None) -> float:
    """The `peak_memory_mb` that a training of `network` has, by a step of it on `batch`, or the first examples.

    Raises:
        TrialError: memory ran out, with reason OutOfMemory.
    """
    if batch is None:
        examples = task.data.train
        batch = examples[list(range(min(task.settings.batch_size, len(examples))))].to(task.device)
    training = _Alone(task, network, epochs=1)
    training.network.train()
    reset_peak(task.device)
    training.step([batch], Step(seed=0, number=0, progress=0.0))
    return training.memory["peak_memory_mb"]


class _Alone(Training):
    """A training by this process alone, whichever others the trial has."""

    joint = False
