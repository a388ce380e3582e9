"""The operations that cells choose from, by the names that papers give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from kubenas_trial.networks.parts import sequence

# Makes the operation for (channels, stride): (batch, channels, height, width) to the same, sides divided by stride.
Make: TypeAlias = Callable[[int, int], nn.Module]


def relu_conv_norm(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """ReLU, convolution that keeps the size (divided by `stride`), batch normalization."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class Zero(nn.Module):
    """Nothing: zeros of the right shape."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) to zeros with sides divided by the stride."""
        return torch.zeros_like(inputs[:, :, :: self.stride, :: self.stride])


class FactorizedReduction(nn.Module):
    """Halves the image by two 1 x 1 convolutions, one of which sees the image moved by a pixel (DARTS)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.second = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in_channels, height, width) to (batch, out_channels, height / 2, width / 2), sides rounded up."""
        active = inputs.relu()
        # The added row and column are looked at where a side is odd only.
        moved = pad(active, (0, 1, 0, 1))[:, :, 1:, 1:]
        halves = (self.first(active), self.second(moved))
        normalised: Tensor = self.norm(torch.cat(halves, dim=1))
        return normalised


def _separable(channels: int, stride: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    """ReLU, depthwise and pointwise convolution, batch normalization."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    )


def _skip(channels: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels)


def _conv(kernel: int) -> Make:
    return lambda channels, stride: relu_conv_norm(channels, channels, kernel, stride)


def _separable_twice(kernel: int) -> Make:
    return lambda channels, stride: nn.Sequential(
        *_separable(channels, stride, kernel), *_separable(channels, 1, kernel)
    )


def _dilated(kernel: int) -> Make:
    return lambda channels, stride: _separable(channels, stride, kernel, dilation=2)


def _max_pool(kernel: int) -> Make:
    return lambda _, stride: nn.MaxPool2d(kernel, stride, kernel // 2)


def _average_pool(kernel: int) -> Make:
    return lambda _, stride: nn.AvgPool2d(kernel, stride, kernel // 2, count_include_pad=False)


def _conv_1x7_7x1(channels: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False),
        nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False),
        nn.BatchNorm2d(channels),
    )


OPERATIONS: Final[Mapping[str, Make]] = {
    "none": lambda _, stride: Zero(stride),
    "skip_connect": _skip,
    **{f"conv_{kernel}x{kernel}": _conv(kernel) for kernel in (1, 3, 5, 7)},
    **{f"nor_conv_{kernel}x{kernel}": _conv(kernel) for kernel in (1, 3, 5, 7)},
    "conv_1x7_7x1": _conv_1x7_7x1,
    **{f"sep_conv_{kernel}x{kernel}": _separable_twice(kernel) for kernel in (3, 5, 7)},
    **{f"dil_conv_{kernel}x{kernel}": _dilated(kernel) for kernel in (3, 5, 7)},
    **{f"max_pool_{kernel}x{kernel}": _max_pool(kernel) for kernel in (3, 5, 7)},
    **{f"avg_pool_{kernel}x{kernel}": _average_pool(kernel) for kernel in (3, 5, 7)},
}


def operation(name: str, channels: int, stride: int = 1) -> nn.Module:
    """The operation called `name`, from and to `channels`, sides divided by `stride` (1 or 2) and rounded up.

    Its parameters are below that name, so that operations at one position share none.
    """
    return sequence({name: OPERATIONS[name](channels, stride)})
