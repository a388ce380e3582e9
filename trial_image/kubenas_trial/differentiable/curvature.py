"""How sharp the loss is in what decides, on a few examples that are always the same."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from kubenas_trial.datasets.data import shuffled
from kubenas_trial.differentiable.halves import Part
from kubenas_trial.differentiable.hessian import largest_eigenvalue
from kubenas_trial.differentiable.mixture import Mixture
from kubenas_trial.differentiable.order import first_order
from kubenas_trial.differentiable.unchanged import held, still
from kubenas_trial.tasks.base import Task

# Examples that it is measured on, or a batch of them.
_EXAMPLES: Final = 64


def curvature(task: Task[Any, Any], mixture: Mixture, examples: Part, size: int) -> tuple[float, float]:
    """The largest eigenvalue of the loss's Hessian in what decides, and the loss, both with mean weights.

    Args:
        task: whose loss.
        mixture: the mixed network; left as it is.
        examples: of which a few are used.
        size: of a batch.
    """
    if mixture.sampler.hard:
        # All operations are computed here, and one in a step: of fewer examples, so that it takes no more memory.
        size = max(2, size // max(len(one.operations) for one in mixture.choices))
    torch.manual_seed(0)
    # Whole batches.
    count = max(1, min(_EXAMPLES, len(examples)) // size) * size
    order = shuffled(len(examples), 0)[:count]
    batches = [examples[order[start : start + size]].to(task.device) for start in range(0, len(order), size)]
    losses = [partial(task.loss, mixture, batch) for batch in batches]
    mixture.train()

    def gradient() -> list[Tensor]:
        each = [first_order(loss, mixture.deciding) for loss in losses]
        return [torch.stack(own).mean(0) for own in zip(*each, strict=True)]

    with held([parameter for _, parameter in mixture.learned]), mixture.weighted(), still(mixture):
        with torch.no_grad():
            loss = float(torch.stack([one() for one in losses]).mean())
        return largest_eigenvalue(gradient, mixture.deciding), loss
