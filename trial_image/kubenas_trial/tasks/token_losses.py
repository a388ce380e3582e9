"""Losses of networks that predict tokens: logits (batch, length, vocabulary)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kubenas_trial.datasets.data import Batch


def mean_token_loss(network: nn.Module, batch: Batch, ignored: int, smoothing: float) -> Tensor:
    """Mean cross-entropy of the targets (batch, length) that are not `ignored`, with label smoothing."""
    [targets] = batch.targets
    logits = network(*batch.inputs).transpose(1, 2)
    return cross_entropy(logits, targets, ignore_index=ignored, label_smoothing=smoothing)


def summed_token_loss(network: nn.Module, batch: Batch, ignored: int) -> tuple[float, int]:
    """Sum of the cross-entropy of the targets (batch, length) that are not `ignored`, and their number."""
    [targets] = batch.targets
    logits = network(*batch.inputs).float().transpose(1, 2)
    loss = float(cross_entropy(logits, targets, ignore_index=ignored, reduction="sum"))
    return loss, int((targets != ignored).sum())
