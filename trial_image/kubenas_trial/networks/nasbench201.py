"""The macro skeleton of NAS-Bench-201 around a searched cell (Dong and Yang, ICLR 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add

import torch
from torch import Tensor, nn

_NODES = 4


def _relu_conv_bn(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    )


def _operation(name: str, channels: int) -> nn.Module:
    match name:
        case "skip_connect":
            return nn.Identity()
        case "nor_conv_1x1":
            return _relu_conv_bn(channels, channels, 1)
        case "nor_conv_3x3":
            return _relu_conv_bn(channels, channels, 3)
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        case _:
            raise ValueError(f"operation {name!r} is none of NAS-Bench-201")


class Cell(nn.Module):
    """Four nodes; each is the sum of the operations on its incoming edges, the last is the output.

    `architecture` maps each edge "source-target" to an operation; `none` leaves the edge out.
    Input and output: (batch, channels, height, width).
    """

    def __init__(self, architecture: Mapping[str, object], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {edge: _operation(str(name), channels) for edge, name in architecture.items() if name != "none"}
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """The last node's value."""
        nodes = [inputs]
        for target in range(1, _NODES):
            incoming = [
                self.edges[f"{source}-{target}"](nodes[source])
                for source in range(target)
                if f"{source}-{target}" in self.edges
            ]
            nodes.append(reduce(add, incoming) if incoming else torch.zeros_like(inputs))
        return nodes[-1]


class ReductionBlock(nn.Module):
    """Residual block that halves the resolution and changes the number of channels."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _relu_conv_bn(channels_in, channels_out, 3, stride=2), _relu_conv_bn(channels_out, channels_out, 3)
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels_in, channels_out, 1, bias=False))

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels_in, height, width) to (batch, channels_out, height / 2, width / 2)."""
        residual: Tensor = self.residual(inputs)
        shortcut: Tensor = self.shortcut(inputs)
        return residual + shortcut


def nasbench201(
    architecture: Mapping[str, object], channels: int, cells_per_stack: int, inputs: int, classes: int
) -> nn.Sequential:
    """Stem, three stacks of cells with a reduction between, global average pool, linear classifier.

    Args:
        architecture: operation of each edge, as in the search space.
        channels: width of the first stack; the others have twice and four times as many (16 in the paper).
        cells_per_stack: cells in each stack (5 in the paper).
        inputs: channels of the images, (batch, inputs, height, width) with height and width divisible by 4.
        classes: size of the output, (batch, classes).
    """
    layers: list[nn.Module] = [nn.Conv2d(inputs, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)]
    width = channels
    for stack in range(3):
        if stack > 0:
            layers.append(ReductionBlock(width, 2 * width))
            width *= 2
        layers += [Cell(architecture, width) for _ in range(cells_per_stack)]
    layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]
    return nn.Sequential(*layers)
