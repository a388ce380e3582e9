"""The macro skeleton of NAS-Bench-201 around a searched cell (Dong and Yang, ICLR 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Annotated, Final

import torch
from pydantic import Field
from torch import Tensor, nn

from kubenas.space.base import Value
from kubenas_trial.networks.base import Family, Images, Skeleton

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

    def __init__(self, architecture: Mapping[str, Value], channels: int) -> None:
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


class NASBench201Skeleton(Skeleton):
    """Size of the network around the cell; the defaults are the paper's."""

    channels: Annotated[int, Field(ge=1, le=4096, description="Width of the first of the three stacks.")] = 16
    cells_per_stack: Annotated[int, Field(ge=1, le=256, description="Cells in each stack.")] = 5


def nasbench201(architecture: Mapping[str, Value], skeleton: NASBench201Skeleton, images: Images) -> nn.Sequential:
    """Stem, three stacks of cells with a reduction between, global average pool, linear classifier.

    Each stack is twice as wide as the one before. Height and width must be divisible by 4.
    """
    width = skeleton.channels
    layers: list[nn.Module] = [nn.Conv2d(images.channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
    for stack in range(3):
        if stack > 0:
            layers.append(ReductionBlock(width, 2 * width))
            width *= 2
        layers += [Cell(architecture, width) for _ in range(skeleton.cells_per_stack)]
    layers += [
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, images.classes),
    ]
    return nn.Sequential(*layers)


# The residual cell with a bottleneck's shortcut, as a person would draw it.
NASBENCH201: Final = Family(
    NASBench201Skeleton,
    nasbench201,
    default={
        "0-1": "nor_conv_3x3",
        "0-2": "none",
        "1-2": "nor_conv_3x3",
        "0-3": "skip_connect",
        "1-3": "none",
        "2-3": "nor_conv_3x3",
    },
)
