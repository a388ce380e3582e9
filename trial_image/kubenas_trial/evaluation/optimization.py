"""The optimizer of a training, and its learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from kubenas_trial.optimizers import SGD, AdamW
from kubenas_trial.settings import TrainingSettings


def learning_rate(settings: TrainingSettings, epoch: float, epochs: int) -> float:
    """The learning rate after `epoch` of `epochs`, a fraction within an epoch.

    It rises linearly over the warm-up, then falls along half a cosine (Loshchilov and Hutter, ICLR 2017), along a line,
    or not at all.
    """
    if epoch < settings.warmup_epochs:
        # The first step would be none at a rate of exactly 0.
        return settings.learning_rate * (epoch + 1e-3) / settings.warmup_epochs
    done = (epoch - settings.warmup_epochs) / max(epochs - settings.warmup_epochs, 1e-9)
    match settings.schedule:
        case "cosine":
            return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1)))
        case "linear":
            return settings.learning_rate * (1 - min(done, 1))
        case "constant":
            return settings.learning_rate


def make_optimizer(learned: Iterable[tuple[str, nn.Parameter]], settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimizer that `settings` ask for, over parameters with their names."""
    rate, decay = settings.learning_rate, settings.weight_decay
    named = list(learned)
    if settings.optimizer == "sgd":
        nesterov = settings.momentum > 0
        return SGD(
            [parameter for _, parameter in named], rate, settings.momentum, nesterov=nesterov, weight_decay=decay
        )
    # As usual with adamw, only weights decay: not scales, nor biases, of which a recurrent layer has a row a gate.
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in named:
        is_bias = name.rpartition(".")[2].startswith("bias")
        (others if is_bias or parameter.ndim <= 1 else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return AdamW([group for group in groups if group["params"]], rate, (settings.momentum, 0.999))
