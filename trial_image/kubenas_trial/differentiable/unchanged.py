"""What a network keeps as it is for a while: parameters without a gradient, and normalization's statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from kubenas_trial.supernets.calibration import calibrate
from kubenas_trial.tasks.base import Task


@contextmanager
def held(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Within, `parameters` get no gradient."""
    for parameter in parameters:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad = True


@contextmanager
def still(network: nn.Module) -> Iterator[None]:
    """Within, normalization's running statistics stay as they are."""
    norms = _norms(network)
    before = [one.momentum for one in norms]
    for one in norms:
        one.momentum = 0.0
    try:
        yield
    finally:
        for one, own in zip(norms, before, strict=True):
            one.momentum = own


@contextmanager
def calibrated(task: Task[Any, Any], network: nn.Module) -> Iterator[None]:
    """Within, normalization has the statistics of some training examples with the current weights."""
    norms = _norms(network)
    before = [{name: value.clone() for name, value in one.named_buffers()} for one in norms]
    try:
        calibrate(task, network, 0)
        yield
    finally:
        for one, values in zip(norms, before, strict=True):
            for name, value in one.named_buffers():
                value.copy_(values[name])


def _norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [one for one in network.modules() if isinstance(one, nn.BatchNorm2d)]
