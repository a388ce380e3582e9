"""Networks of cells of one's own (`searchSpace.cell`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated

from pydantic import Field
from torch import nn

from kubenas.api.cell import Cell
from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture, Value
from kubenas.space.cells.graph import Graph
from kubenas.space.cells.space import build_cell_space
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.networks.base import AnyFamily, Family, Images, MakeOperation, Skeleton
from kubenas_trial.networks.cell_graph import CellGraph
from kubenas_trial.networks.darts import DARTSNetwork, DARTSSkeleton, cell_graphs
from kubenas_trial.networks.nasbench201 import stacked
from kubenas_trial.networks.operations import OPERATIONS, operation


class CellSkeleton(Skeleton):
    """Size of the network around the cells."""

    channels: Annotated[int, Field(ge=1, le=4096, description="Width of the first of the three stacks.")] = 16
    cells_per_stack: Annotated[int, Field(ge=1, le=256, description="Cells in each stack.")] = 2


def cell_family(space: SearchSpace) -> AnyFamily:
    """The networks of `space.cell`.

    Cells with two inputs are stacked as in DARTS, others as in NAS-Bench-201. Several cells are used in turn; the
    one called `reduction` follows each change of resolution.

    Raises:
        InvalidTrialError: an operation is none that is known here.
    """
    if (cell := space.cell) is None:
        raise InvalidTrialError("searchSpace.cell: this space has none")
    for index, name in enumerate(cell.operations):
        if name not in OPERATIONS and name not in (cell.none, cell.skip):
            raise InvalidTrialError(
                f"searchSpace.cell.operations[{index}]: {name!r} is unknown to this trainer: choose of "
                f"{', '.join(OPERATIONS)}, or name an image of your own in trialTemplate"
            )
    if cell.inputs is not None:
        return Family(DARTSSkeleton, partial(_with_two_inputs, cell), default={}, of_cells=DARTSNetwork)
    # Other names than this trainer's for nothing and for the identity.
    names = {cell.none: "none", cell.skip: "skip_connect"}
    return Family(CellSkeleton, partial(_with_one_input, cell, names), default={}, of_cells=_stacked_cells)


def _with_two_inputs(
    cell: Cell, architecture: Mapping[str, Value], skeleton: DARTSSkeleton, images: Images
) -> DARTSNetwork:
    return DARTSNetwork(cell_graphs(build_cell_space(cell), architecture), skeleton, images)


def _with_one_input(
    cell: Cell,
    names: Mapping[str | None, str],
    architecture: Mapping[str, Value],
    skeleton: CellSkeleton,
    images: Images,
) -> nn.Sequential:
    decided = Architecture(architecture)
    # Edges without effect on the output are left out.
    graphs = {name: wiring.live(decided) for name, wiring in build_cell_space(cell).cells.items()}

    def make(label: str, channels: int, stride: int) -> nn.Module:
        return operation(names.get(label, label), channels, stride)

    return _stacked_cells(graphs, skeleton, images, make)


def _stacked_cells(
    cells: Mapping[str, Graph], skeleton: CellSkeleton, images: Images, make: MakeOperation
) -> nn.Sequential:
    normal = [graph for name, graph in cells.items() if name != "reduction"] or [cells["reduction"]]

    def stacked_cell(stack: int, index: int, channels: int) -> nn.Module:
        first = stack > 0 and index == 0
        graph = cells["reduction"] if first and "reduction" in cells else normal[index % len(normal)]
        return CellGraph(graph, 1, lambda label, _source: make(label, channels, 1))

    return stacked(stacked_cell, skeleton.channels, skeleton.cells_per_stack, images)
