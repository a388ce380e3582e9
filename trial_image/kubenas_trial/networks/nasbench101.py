"""NAS-Bench-101's networks of one cell with operations on its nodes (Ying et al., ICML 2019, arXiv:1902.09635)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, reduce
from operator import add
from typing import Annotated, Final

import torch
from pydantic import Field
from torch import Tensor, nn

from kubenas.space.base import Architecture, Value
from kubenas.space.cells.graph import Graph
from kubenas.space.cells.space import CellSpace
from kubenas.space.presets.nasbench101 import nasbench101 as nasbench101_space
from kubenas_trial.networks.base import Family, Images, Skeleton
from kubenas_trial.networks.parts import conv_norm, sequence

_STACKS = 3


class NASBench101Skeleton(Skeleton):
    """Size of the network around the cell; the paper has 128 channels and 3 cells in each stack."""

    channels: Annotated[int, Field(ge=8, le=4096, description="Width of the first of the three stacks.")] = 16
    cells_per_stack: Annotated[int, Field(ge=1, le=64, description="Cells in each stack.")] = 1


def _conv(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    return sequence({"conv": conv_norm(in_channels, out_channels, kernel), "activation": nn.ReLU()})


def _operation(name: str, channels: int) -> nn.Module:
    if name == "maxpool3x3":
        return nn.MaxPool2d(3, stride=1, padding=1)
    return sequence({name: _conv(channels, channels, 3 if name == "conv3x3-bn-relu" else 1)})


class NASBench101Cell(nn.Module):
    """The nodes that lead to the output, concatenated, and the input where an edge leads there.

    Projections by 1 x 1 convolutions bring the input to the width of each node that reads it; a node takes of others
    as many channels as it has.

    Args:
        graph: vertices in order, the input first and the output last, each with its operation.
        in_channels, out_channels: of input and output.
    """

    def __init__(self, graph: Graph, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self._last = len(graph.labels) - 1
        self._sources = [
            [source for source in range(vertex) if (source, vertex) in graph.edges] for vertex in range(self._last + 1)
        ]
        self._channels = vertex_channels(graph, in_channels, out_channels)
        self.projections = nn.ModuleDict(
            {
                str(vertex): _conv(in_channels, self._channels[vertex], 1)
                for vertex in range(1, self._last + 1)
                if 0 in self._sources[vertex]
            }
        )
        self.operations = nn.ModuleDict(
            {
                str(vertex): _operation(graph.labels[vertex], self._channels[vertex])
                for vertex in range(1, self._last)
                if self._sources[vertex]
            }
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in_channels, height, width) to (batch, out_channels, height, width)."""
        values: dict[int, Tensor] = {}
        for vertex in range(1, self._last):
            width = self._channels[vertex]
            terms = [values[source][:, :width] for source in self._sources[vertex] if source]
            if 0 in self._sources[vertex]:
                terms.append(self.projections[str(vertex)](inputs))
            if terms:
                values[vertex] = self.operations[str(vertex)](reduce(add, terms))
        parts = [values[source] for source in self._sources[self._last] if source]
        terms = [torch.cat(parts, dim=1)] if parts else []
        if 0 in self._sources[self._last]:
            terms.append(self.projections[str(self._last)](inputs))
        return reduce(add, terms)


def vertex_channels(graph: Graph, in_channels: int, out_channels: int) -> list[int]:
    """Channels of each vertex: those before the output share its channels, others are as wide as what they feed."""
    last = len(graph.labels) - 1
    channels = [in_channels, *([0] * (last - 1)), out_channels]
    feeding = [vertex for vertex in range(1, last) if (vertex, last) in graph.edges]
    for index, vertex in enumerate(feeding):
        channels[vertex] = out_channels // len(feeding) + (index < out_channels % len(feeding))
    for vertex in range(last - 1, 0, -1):
        if vertex not in feeding:
            channels[vertex] = max(
                (channels[later] for later in range(vertex + 1, last) if (vertex, later) in graph.edges), default=0
            )
    return channels


def nasbench101(architecture: Mapping[str, Value], skeleton: NASBench101Skeleton, images: Images) -> nn.Sequential:
    """Stem, three stacks of cells with a halving of the image between, global average pool, linear classifier.

    Each stack is twice as wide as the one before.
    """
    [wiring] = _space().cells.values()
    graph = wiring.live(Architecture(architecture))
    width = skeleton.channels
    parts: dict[str, nn.Module] = {"stem": _conv(images.channels, width, 3)}
    before = width
    for stack in range(_STACKS):
        if stack > 0:
            parts[f"reduction{stack}"] = nn.MaxPool2d(2, ceil_mode=True)
            width *= 2
        cells: dict[str, nn.Module] = {}
        for index in range(skeleton.cells_per_stack):
            cells[str(index)] = NASBench101Cell(graph, before, width)
            before = width
        parts[f"stack{stack}"] = sequence(cells)
    parts |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    return sequence({**parts, "output": nn.Linear(width, images.classes)})


@cache
def _space() -> CellSpace:
    return nasbench101_space()


# A residual block beside a pooling path, within the benchmark's 9 edges.
NASBENCH101: Final = Family(
    NASBench101Skeleton,
    nasbench101,
    default={
        "nodes": 5,
        "operation.1": "conv3x3-bn-relu",
        "input-1": 1,
        "1-output": 0,
        "operation.2": "conv3x3-bn-relu",
        "input-2": 0,
        "1-2": 1,
        "2-output": 1,
        "operation.3": "maxpool3x3",
        "input-3": 1,
        "1-3": 0,
        "2-3": 0,
        "3-output": 1,
        "input-output": 1,
    },
)
