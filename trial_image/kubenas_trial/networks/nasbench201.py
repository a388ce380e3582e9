"""The macro skeleton of NAS-Bench-201 around a searched cell (Dong and Yang, ICLR 2020)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Final

from pydantic import Field
from torch import Tensor, nn

from kubenas.space.base import Value
from kubenas.space.cells.graph import Graph
from kubenas_trial.networks.base import Family, Images, MakeOperation, Skeleton
from kubenas_trial.networks.cell_graph import CellGraph
from kubenas_trial.networks.operations import operation, relu_conv_norm
from kubenas_trial.networks.parts import conv_norm, sequence

_NODES = 4
_STACKS = 3


class ReductionBlock(nn.Module):
    """Residual block that halves the resolution and changes the number of channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            relu_conv_norm(in_channels, out_channels, 3, stride=2), relu_conv_norm(out_channels, out_channels, 3)
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(in_channels, out_channels, 1, bias=False)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in_channels, height, width) to (batch, out_channels, height / 2, width / 2), rounded up."""
        residual: Tensor = self.residual(inputs)
        shortcut: Tensor = self.shortcut(inputs)
        return residual + shortcut


class NASBench201Skeleton(Skeleton):
    """Size of the network around the cell; the defaults are the paper's."""

    channels: Annotated[int, Field(ge=1, le=4096, description="Width of the first of the three stacks.")] = 16
    cells_per_stack: Annotated[int, Field(ge=1, le=256, description="Cells in each stack.")] = 5


def nasbench201(architecture: Mapping[str, Value], skeleton: NASBench201Skeleton, images: Images) -> nn.Sequential:
    """The paper's skeleton around the cell of `architecture`."""
    return _of_cells({"": cell_graph(architecture)}, skeleton, images, operation)


def _of_cells(
    cells: Mapping[str, Graph], skeleton: NASBench201Skeleton, images: Images, make: MakeOperation
) -> nn.Sequential:
    [graph] = cells.values()

    def cell(_stack: int, _place: int, channels: int) -> nn.Module:
        return CellGraph(graph, 1, lambda label, _source: make(label, channels, 1))

    return stacked(cell, skeleton.channels, skeleton.cells_per_stack, images)


def cell_graph(architecture: Mapping[str, Value]) -> Graph:
    """The four nodes with the operations between them, each edge `source-target` but those with `none`.

    Edges that lead nowhere stay, as they count in the published sizes.
    """
    edges = {
        (int(source), int(target)): str(name)
        for edge, name in architecture.items()
        for source, _, target in [edge.partition("-")]
        if name != "none"
    }
    return Graph(("",) * _NODES, edges)


def stacked(
    make: Callable[[int, int, int], nn.Module], channels: int, cells_per_stack: int, images: Images
) -> nn.Sequential:
    """Stem, three stacks of cells with a reduction between, global average pool, linear classifier.

    Each stack is twice as wide as the one before.

    Args:
        make: the cell of (stack, index within it, channels), which keeps the shape.
        channels: width of the first stack.
        cells_per_stack: cells in each.
        images: what goes in and comes out.
    """
    width = channels
    parts: dict[str, nn.Module] = {"stem": conv_norm(images.channels, width, 3)}
    for stack in range(_STACKS):
        if stack > 0:
            parts[f"reduction{stack}"] = ReductionBlock(width, 2 * width)
            width *= 2
        parts[f"stack{stack}"] = sequence({str(index): make(stack, index, width) for index in range(cells_per_stack)})
    parts |= {
        "norm": nn.BatchNorm2d(width),
        "activation": nn.ReLU(),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "output": nn.Linear(width, images.classes),
    }
    return sequence(parts)


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
    of_cells=_of_cells,
)
