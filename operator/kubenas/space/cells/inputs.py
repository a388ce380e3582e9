"""Cells whose nodes each read a few earlier ones: DARTS is one."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from itertools import combinations, permutations, product
from math import comb, factorial, prod

from kubenas.api.cell import Cell
from kubenas.space.cells.graph import Edge, Graph, canonical, cycles, orders
from kubenas.space.cells.wiring import Values, Wiring
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice
from kubenas.space.sampler import MAX_LISTED

ENTRIES = 2


class InputsWiring(Wiring):
    """For each node which earlier nodes it reads, and an operation for each; the output has all nodes concatenated.

    Cells that differ only by the numbers of their nodes have one key.
    """

    def __init__(self, cell: Cell, prefix: str) -> None:
        self._nodes = cell.nodes
        self._reads = cell.inputs or 1
        decisions = []
        for node in range(ENTRIES, cell.nodes):
            sources = tuple(",".join(map(str, chosen)) for chosen in combinations(range(node), self._reads))
            decisions.append(Decision(f"{prefix}{node}.inputs", Choice(sources)))
            decisions += [
                Decision(f"{prefix}{node}.operation.{index}", Choice(tuple(cell.operations)))
                for index in range(self._reads)
            ]
        super().__init__(prefix, cell.operations, decisions)

    @property
    def possible_edges(self) -> Sequence[Edge]:
        """From each node to each later one."""
        return [(source, target) for target in range(ENTRIES, self._nodes) for source in range(target)]

    @property
    def operation_vertices(self) -> Sequence[int]:
        """None: operations are on edges."""
        return ()

    @property
    def input_vertices(self) -> Sequence[int]:
        """The outputs of the two cells before."""
        return range(ENTRIES)

    def vertex_name(self, vertex: int) -> str:
        """Its number, or `out`."""
        return "out" if vertex == self._nodes else str(vertex)

    def graph(self, values: Values) -> Graph:
        """The nodes, and the output as one more."""
        edges: dict[Edge, str] = {}
        for node in range(ENTRIES, self._nodes):
            for index, source in enumerate(str(values[f"{self.prefix}{node}.inputs"]).split(",")):
                edges[int(source), node] = str(values[f"{self.prefix}{node}.operation.{index}"])
        edges.update({(node, self._nodes): "" for node in range(ENTRIES, self._nodes)})
        return Graph(("",) * (self._nodes + 1), edges)

    def key(self, values: Values) -> str:
        """The canonical form of the graph."""
        return canonical(self._marked(values)).text

    def multiplicity(self, values: Values) -> int:
        """Number of different graphs that numberings of the nodes give."""
        graph = self._marked(values)
        return orders(graph, range(ENTRIES, self._nodes)) // canonical(graph).automorphisms

    def size(self) -> int | None:
        """Number of keys, by Burnside's lemma; None where there are too many choices of inputs."""
        return self._size

    @cached_property
    def _size(self) -> int | None:
        free = range(ENTRIES, self._nodes)
        wirings = prod(comb(node, self._reads) for node in free)
        if wirings * factorial(len(free)) > MAX_LISTED:
            return None
        total = Fraction()
        for chosen in product(*(combinations(range(node), self._reads) for node in free)):
            edges = [(source, node) for node, sources in zip(free, chosen, strict=True) for source in sources]
            graph = Graph(("",) * self._nodes, dict.fromkeys(edges, ""))
            counts = (_cycles(edges, order) for order in permutations(free))
            fixed = sum(len(self.operations) ** count for count in counts if count is not None)
            total += Fraction(fixed, orders(graph, free))
        return int(total)

    def _marked(self, values: Values) -> Graph:
        """The graph with labels that distinguish the inputs from each other and from the nodes."""
        graph = self.graph(values)
        return Graph(("in 0", "in 1", *graph.labels[ENTRIES:-1], "out"), graph.edges)


def _cycles(edges: Sequence[Edge], order: Sequence[int]) -> int | None:
    """Cycles of the edges under a renumbering of the nodes from `ENTRIES` on; None where that is no symmetry."""
    number = [*range(ENTRIES), *order]
    image = {(source, target): (number[source], number[target]) for source, target in edges}
    if any(edge not in image for edge in image.values()):
        return None
    return cycles(image)
