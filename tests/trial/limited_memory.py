"""Training with little memory: `python -m tests.trial.limited_memory BATCH_SIZE ROOM_MB` prints what came of it.

ROOM_MB is the address space beyond what torch and the data take; 0 limits nothing.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from kubenas.api.task import Task as TaskDocument
from kubenas_trial.errors import reason
from kubenas_trial.evaluation.training import Training
from kubenas_trial.tasks.load import AnyTask, load_task

MEGABYTE: Final = 10**6


class Wide(nn.Module):
    """Hardly any weights: 12.8 KB of activations an example and layer."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(64))
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 1, 8, 8) to (batch, 10)."""
        vectors = (images.flatten(1) * self.scale).repeat(1, 50)
        for _ in range(self.layers):
            vectors = vectors.sin()
        return vectors[:, :10]


def digits(**settings: Any) -> AnyTask:
    """Handwritten digits."""
    document = {"name": "image-classification", "dataset": {"name": "digits"}, "settings": settings}
    return load_task(TaskDocument.model_validate(document), None, torch.device("cpu"))


def train(batch_size: int, room_mb: int) -> dict[str, Any]:
    """What an epoch of `Wide` comes to, or why it failed."""
    task = digits(batchSize=batch_size, augmentation=False, optimizer="sgd", learningRate=0.1)
    training = Training(task, Wide(40), epochs=1)
    if room_mb:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + room_mb * MEGABYTE,) * 2)
    try:
        training.train_epoch(1, torch.manual_seed(1))
        metrics = training.evaluate(task.data.validation)
    except Exception as error:
        return {"reason": reason(error), "message": str(error)}
    return {"scale": training.network.get_parameter("scale").tolist(), "loss": metrics["loss"], **training.memory}


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr)
    print(json.dumps(train(*map(int, sys.argv[1:]))))
