"""The macro skeleton of NAS-Bench-201 around a searched cell (Dong and Yang, ICLR 2020)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import add
from typing import Annotated, Final

import torch
from pydantic import Field
from torch import Tensor, nn

from kubenas.space.base import Value
from kubenas_trial.networks.base import Family, Images, Skeleton
from kubenas_trial.networks.operations import operation, relu_conv_norm

_NODES = 4
_STACKS = 3


class Cell(nn.Module):
    """Four nodes; each is the sum of the operations on its incoming edges, the last is the output.

    `architecture` maps each edge "source-target" to an operation; `none` leaves the edge out.
    Input and output: (batch, channels, height, width).
    """

    def __init__(self, architecture: Mapping[str, Value], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {edge: operation(str(name), channels) for edge, name in architecture.items() if name != "none"}
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
            relu_conv_norm(channels_in, channels_out, 3, stride=2), relu_conv_norm(channels_out, channels_out, 3)
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(channels_in, channels_out, 1, bias=False)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels_in, height, width) to (batch, channels_out, height / 2, width / 2), rounded up."""
        residual: Tensor = self.residual(inputs)
        shortcut: Tensor = self.shortcut(inputs)
        return residual + shortcut


class NASBench201Skeleton(Skeleton):
    """Size of the network around the cell; the defaults are the paper's."""

    channels: Annotated[int, Field(ge=1, le=4096, description="Width of the first of the three stacks.")] = 16
    cells_per_stack: Annotated[int, Field(ge=1, le=256, description="Cells in each stack.")] = 5


def nasbench201(architecture: Mapping[str, Value], skeleton: NASBench201Skeleton, images: Images) -> nn.Sequential:
    """The paper's skeleton around the cell of `architecture`."""
    return stacked(
        lambda _stack, _place, channels: Cell(architecture, channels),
        skeleton.channels,
        skeleton.cells_per_stack,
        images,
    )


def stacked(
    make: Callable[[int, int, int], nn.Module], channels: int, cells_per_stack: int, images: Images
) -> nn.Sequential:
    """Stem, three stacks of cells with a reduction between, global average pool, linear classifier.

    Each stack is twice as wide as the one before.

    Args:
        make: the cell of (stack, place in it, channels), which keeps the shape.
        channels: width of the first stack.
        cells_per_stack: cells in each.
        images: what goes in and comes out.
    """
    width = channels
    layers: list[nn.Module] = [nn.Conv2d(images.channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
    for stack in range(_STACKS):
        if stack > 0:
            layers.append(ReductionBlock(width, 2 * width))
            width *= 2
        layers += [make(stack, place, width) for place in range(cells_per_stack)]
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
