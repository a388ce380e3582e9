"""Building blocks of networks, named so that a parameter's name gives its position in the space and its operation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn


def sequence(parts: Mapping[str, nn.Module]) -> nn.Sequential:
    """`parts` in sequence, each one's parameters below its name; a single part names the operation at a position."""
    return nn.Sequential(OrderedDict(parts))


def conv_norm(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution that keeps the size (divided by `stride`), and batch normalization.

    The convolution is called by its kernel, such as `k3`: no kernel is a part of a larger one.
    """
    convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return sequence({f"k{kernel}": convolution, "norm": nn.BatchNorm2d(out_channels)})


def paired(first: Tensor, second: Tensor) -> Tensor:
    """The channels of both interleaved: (batch, channels, …) each to (batch, 2 * channels, …).

    Not concatenated, so that a narrower network has leading slices of a wider one's channels.
    """
    return torch.stack((first, second), dim=2).flatten(1, 2)
