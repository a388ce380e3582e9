"""Mixed precision: which one a task is computed in."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from kubenas_trial.datasets.data import Examples
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.settings import TrainingSettings
from kubenas_trial.tasks.base import Task


def evaluated(task: Task[Any, Any], network: nn.Module, examples: Examples) -> dict[str, float]:
    """The task's metrics of `network`, in evaluation mode, on `examples`."""
    with torch.inference_mode(), autocast(precision(task.settings, task.device), task.device):
        return task.evaluate(network, examples)


def autocast(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """What computes in `dtype` where that is less than float32."""
    mixed = dtype is not torch.float32
    return torch.autocast(device.type, dtype if mixed else torch.bfloat16, enabled=mixed)


def precision(settings: TrainingSettings, device: torch.device) -> torch.dtype:
    """What a forward pass is computed in.

    Raises:
        InvalidTrialError: that needs a GPU, and there is none.
    """
    if device.type != "cuda":
        if settings.amp in {"bfloat16", "float16"}:
            raise InvalidTrialError(f"task.settings.amp: {settings.amp} needs a GPU, and there is none: leave it out")
        return torch.float32
    if settings.amp == "off":
        return torch.float32
    if settings.amp == "auto":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if settings.amp == "bfloat16" else torch.float16
