"""All graphs without cycles that lie between an input and an output, each with an order of its nodes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kubenas.space.cells.graph import Edge, cycles

Numbers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class OrderedGraphs:
    """The graphs of one number of nodes, as bits for the edges of `slots`.

    Attributes:
        graphs: one number a graph.
        orders: number of topological orders of the graph; each is a graph of the list, symmetric ones fewer.
        symmetries: how many of these give the same graph.
        kept: the choices of operations on the inner nodes that a symmetry keeps, summed over all symmetries.
    """

    graphs: Numbers
    orders: Numbers
    symmetries: Numbers
    kept: Numbers

    def cells(self) -> int:
        """Number of different cells with operations on the inner nodes (Burnside's lemma)."""
        return round(float(np.sum(self.kept / self.orders)))


@cache
def ordered_graphs(nodes: int, edges: int, operations: int) -> OrderedGraphs:
    """Those with at most `edges` edges; node 0 is the input, the last the output, all others on paths between them."""
    slots = upward_edges(nodes)
    graphs = np.arange(1 << len(slots), dtype=np.int64)
    graphs = graphs[np.bitwise_count(graphs) <= edges]
    for vertex in range(nodes):
        for end, last in ((0, nodes - 1), (1, 0)):
            mask = sum(1 << bit for bit, slot in enumerate(slots) if slot[end] == vertex)
            graphs = graphs[(graphs & mask != 0) == (vertex != last)]
    orders, symmetries, kept = (np.zeros(len(graphs), np.int64) for _ in range(3))
    for order in permutations(range(1, nodes - 1)):
        number = (0, *order, nodes - 1)
        backwards, image = 0, np.zeros(len(graphs), np.int64)
        for bit, (source, target) in enumerate(slots):
            renumbered = (number[source], number[target])
            if renumbered in slots:
                image |= (graphs >> bit & 1) << slots.index(renumbered)
            else:
                backwards |= 1 << bit
        forwards = graphs & backwards == 0
        orders += forwards
        symmetries += forwards & (image == graphs)
        moved = dict(zip(range(1, nodes - 1), order, strict=True))
        kept += (forwards & (image == graphs)) * operations ** cycles(moved)
    return OrderedGraphs(graphs, orders, symmetries, kept)


def upward_edges(nodes: int) -> list[Edge]:
    """All edges from a node to a later one."""
    return [(source, target) for target in range(1, nodes) for source in range(target)]
