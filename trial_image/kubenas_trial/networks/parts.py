"""Parts that networks are put together of, called so that a parameter's name says its place and its operation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn


def sequence(parts: Mapping[str, nn.Module]) -> nn.Sequential:
    """`parts` one after another, their parameters below their names; one alone is an operation at its place."""
    return nn.Sequential(OrderedDict(parts))


def conv_norm(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution that keeps the size (divided by `stride`), and batch normalization.

    The convolution is called by its kernel, such as `k3`: no kernel is a part of a larger one.
    """
    convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return sequence({f"k{kernel}": convolution, "norm": nn.BatchNorm2d(out_channels)})


def paired(first: Tensor, second: Tensor) -> Tensor:
    """The channels of both in turn, (batch, channels, …) each to (batch, 2 * channels, …).

    Unlike one behind the other, so that with fewer channels those that are left are the first ones.
    """
    return torch.stack((first, second), dim=2).flatten(1, 2)
