"""DARTS' networks of normal and reduction cells (Liu, Simonyan and Yang, ICLR 2019, arXiv:1806.09055)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Annotated, Final

from pydantic import Field
from torch import Tensor, nn

from kubenas.space.base import Architecture, Value
from kubenas.space.cells.graph import Graph
from kubenas.space.cells.space import CellSpace
from kubenas.space.presets.darts import darts as darts_space
from kubenas_trial.networks.base import Family, Images, MakeOperation, Skeleton
from kubenas_trial.networks.cell_graph import CellGraph
from kubenas_trial.networks.operations import FactorizedReduction, operation, relu_conv_norm

_STEM = 3
_INPUTS = 2


class DARTSSkeleton(Skeleton):
    """Size of the network around the cells; the paper trains 36 channels and 20 cells on CIFAR-10."""

    channels: Annotated[int, Field(ge=1, le=4096, description="Width of each node of the first cells.")] = 8
    cells: Annotated[int, Field(ge=1, le=256, description="Cells in all.")] = 5


class DARTSCell(nn.Module):
    """A cell that reads the outputs of the two cells before.

    Args:
        graph: the inputs, the nodes, and the output, which concatenates.
        in_channels: of the output of the cell before the last one, and of that of the last one.
        channels: of each node.
        halves: whether operations on the inputs have stride 2.
        halved: whether the last cell had that, so that its output is half the size of the one before it.
        make: makes the operations.
    """

    def __init__(
        self,
        graph: Graph,
        in_channels: tuple[int, int],
        channels: int,
        *,
        halves: bool,
        halved: bool,
        make: MakeOperation,
    ) -> None:
        super().__init__()
        before, last = in_channels
        self.before = FactorizedReduction(before, channels) if halved else relu_conv_norm(before, channels, 1)
        self.last = relu_conv_norm(last, channels, 1)
        self.graph = CellGraph(
            graph,
            _INPUTS,
            lambda label, source: make(label, channels, 2 if halves and source < _INPUTS else 1),
            concatenated=True,
        )

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        """The two outputs before to (batch, nodes times channels, height, width), or half of height and width."""
        output: Tensor = self.graph(self.before(before), self.last(last))
        return output


class DARTSNetwork(nn.Module):
    """Stem, cells with a reduction at one and two thirds of them, global average pool, linear classifier.

    A reduction doubles the channels.

    Args:
        cells: graphs of the cells by name. The one called `reduction`, else the first, halves the resolution; the
            others keep it, and take turns.
        skeleton: the size.
        images: what goes in and comes out.
        make: makes the operations.
    """

    def __init__(
        self, cells: Mapping[str, Graph], skeleton: DARTSSkeleton, images: Images, make: MakeOperation = operation
    ) -> None:
        super().__init__()
        reduction = cells.get("reduction") or next(iter(cells.values()))
        normal = [graph for name, graph in cells.items() if name != "reduction"] or [reduction]
        channels = skeleton.channels
        width = _STEM * channels
        self.stem = nn.Sequential(nn.Conv2d(images.channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.cells = nn.ModuleList()
        in_channels, halved = (width, width), False
        turns = cycle(normal)
        reductions = {skeleton.cells // 3, 2 * skeleton.cells // 3}
        for index in range(skeleton.cells):
            halves = index in reductions
            if halves:
                channels *= 2
            graph = reduction if halves else next(turns)
            self.cells.append(DARTSCell(graph, in_channels, channels, halves=halves, halved=halved, make=make))
            nodes = sum(target == len(graph.labels) - 1 for _, target in graph.edges)
            in_channels, halved = (in_channels[1], nodes * channels), halves
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_channels[1], images.classes))

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, classes)."""
        before = last = self.stem(images)
        for cell in self.cells:
            before, last = last, cell(before, last)
        logits: Tensor = self.head(last)
        return logits


def cell_graphs(space: CellSpace, architecture: Mapping[str, Value]) -> dict[str, Graph]:
    """The graph of each cell by its name."""
    decided = Architecture(architecture)
    return {name: cell.graph(decided) for name, cell in space.cells.items()}


def darts(architecture: Mapping[str, Value], skeleton: DARTSSkeleton, images: Images) -> DARTSNetwork:
    """The network of `architecture`; without the paper's auxiliary classifier and path dropout."""
    return DARTSNetwork(cell_graphs(darts_space(), architecture), skeleton, images)


# The paper's best cells on CIFAR-10 (DARTS, second order), their nodes read as the space numbers them.
_NORMAL: Final = (
    ("0,1", "sep_conv_3x3", "sep_conv_3x3"),
    ("0,1", "sep_conv_3x3", "sep_conv_3x3"),
    ("0,1", "skip_connect", "sep_conv_3x3"),
    ("0,2", "skip_connect", "dil_conv_3x3"),
)
_REDUCTION: Final = (
    ("0,1", "max_pool_3x3", "max_pool_3x3"),
    ("1,2", "max_pool_3x3", "skip_connect"),
    ("0,2", "max_pool_3x3", "skip_connect"),
    ("1,2", "max_pool_3x3", "skip_connect"),
)
DARTS: Final = Family(
    DARTSSkeleton,
    darts,
    default={
        decision: value
        for cell, nodes in (("normal", _NORMAL), ("reduction", _REDUCTION))
        for node, (inputs, first, second) in enumerate(nodes, start=_INPUTS)
        for decision, value in (
            (f"{cell}.{node}.inputs", inputs),
            (f"{cell}.{node}.operation.0", first),
            (f"{cell}.{node}.operation.1", second),
        )
    },
    of_cells=DARTSNetwork,
)
