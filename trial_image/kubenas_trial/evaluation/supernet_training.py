"""The training of a supernet: each step trains the sub-networks that a sampling rule names."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from kubenas.space.base import Architecture, Space
from kubenas_trial.datasets.data import Batch
from kubenas_trial.evaluation.training import Training
from kubenas_trial.step import Step
from kubenas_trial.supernets.extremes import extremes
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.rules.base import Rule
from kubenas_trial.supernets.supernet import Supernet
from kubenas_trial.tasks.base import Task


class SupernetTraining(Training):
    """Training of `supernet` by `rule`.

    With `rates` the learning rate of each sub-network falls the faster the smaller it is (complexity-aware learning
    rate, Jeon et al., CVPR 2025, arXiv:2503.10740): small ones converge first, and would go on to pull shared
    weights their way.
    """

    compiles = False

    def __init__(
        self,
        task: Task[Any, Any],
        supernet: Supernet,
        rule: Rule,
        epochs: int,
        rates: ComplexityAwareRates | None = None,
        uninterrupted: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        super().__init__(task, supernet, epochs, uninterrupted)
        self._supernet, self._rule, self._rates = supernet, rule, rates

    def _step(self, batches: list[Batch], step: Step) -> Tensor:
        if not self._supernet.divided and self._rule.divides(step):
            self._supernet.divide()
        return super()._step(batches, step)

    def _learn(self, batch: Batch, share: float, step: Step) -> Tensor:
        """Add the gradients of the step's sub-networks; the mean of their losses, times `share`."""
        paths = self._rule(step)
        total, taught = torch.zeros((), device=self._task.device), None
        for architecture in paths.architectures:
            network = _Recorded(self._supernet.subnetwork(architecture).train())
            weight = share if self._rates is None else share * self._rates(architecture, step.progress)
            with self._autocast(), self._checkpointed(network):
                loss = self._loss(network, batch, taught, paths.distillation)
            self.scaler.scale(loss * weight).backward()  # type: ignore[no-untyped-call]
            total += loss.detach() * share / len(paths.architectures)
            if taught is None:
                taught = network.outputs.detach()
        return total

    def _loss(self, network: _Recorded, batch: Batch, taught: Tensor | None, distillation: float) -> Tensor:
        loss = self._task.loss(network, batch)
        along = self._task.classes_along
        if taught is None or distillation == 0 or along is None:
            return loss
        soft = _distillation(network.outputs, taught, along)
        return soft if distillation == 1 else (1 - distillation) * loss + distillation * soft


class ComplexityAwareRates:
    """Factor of a sub-network's learning rate.

    It is (1 - t)^(1 - c): t is the share of the training that is done, c goes from 0 of the smallest sub-network to 1
    of the largest by parameters. So the largest follows the schedule of `task.settings`. The factor is that of the
    loss: adamw, which divides gradients by their size, heeds it only where sub-networks share weights.
    """

    def __init__(self, space: Space, networks: Networks) -> None:
        self._size = lru_cache(maxsize=10_000)(networks.size)
        self._least, self._most = map(self._size, extremes(space, networks))

    def __call__(self, architecture: Architecture, progress: float) -> float:
        """The factor of `architecture` at `progress`."""
        complexity = (self._size(architecture) - self._least) / max(1, self._most - self._least)
        return float((1 - progress) ** (1 - min(max(complexity, 0.0), 1.0)))


class _Recorded(nn.Module):
    """A network whose last outputs are kept."""

    outputs: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        """As the network's."""
        self.outputs = self._network(*inputs)
        return self.outputs


def _distillation(outputs: Tensor, taught: Tensor, along: int) -> Tensor:
    """Mean over examples (and positions) of the divergence from the classes' chances that were taught."""
    learned = outputs.float().log_softmax(along).movedim(along, -1).flatten(0, -2)
    target = taught.float().log_softmax(along).movedim(along, -1).flatten(0, -2)
    return kl_div(learned, target, log_target=True, reduction="batchmean")
