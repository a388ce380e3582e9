"""What tests of trainings share."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from kubenas_trial.contract import Candidate
from kubenas_trial.datasets.data import Batch
from kubenas_trial.tasks.base import Task


class Reports:
    """A reporter that keeps the metrics of every report, and wants no checkpoints."""

    def __init__(self) -> None:
        self.all: list[dict[str, float]] = []

    def report(self, candidate: Candidate, step: int, **metrics: float) -> None:  # noqa: ARG002
        self.all.append(metrics)

    def checkpoints(self, candidate: Candidate) -> None:  # noqa: ARG002
        return None

    def uninterrupted(self) -> AbstractContextManager[None]:
        return nullcontext()


class Curve(Reports):
    """Those of candidate 0: one after each epoch, and a last one with the test split."""

    def report(self, candidate: Candidate, step: int, **metrics: float) -> None:
        assert (candidate.id, step) == ("0", min(len(self.all) + 1, candidate.epochs))
        super().report(candidate, step, **metrics)

    def checkpoints(self, candidate: Candidate) -> None:
        assert candidate.id == "0"

    def values(self, *endings: str) -> list[dict[str, float]]:
        """Of each report the metrics whose names end so."""
        return [{name: value for name, value in each.items() if name.endswith(endings)} for each in self.all]


def losses(task: Task[Any, Any], network: nn.Module, batch: Batch, steps: int, rate: float) -> list[float]:
    """The loss before each of some steps on one batch."""
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = task.loss(network, batch)
        torch.autograd.backward(loss)
        optimizer.step()
        found.append(float(loss.detach()))
    return found
