"""Cells with any edges up to a number, and operations on nodes: NAS-Bench-101 is one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product
from random import Random

import numpy as np

from kubenas.api.cell import Cell
from kubenas.space.architecture import Value
from kubenas.space.cells.graph import Edge, Graph, canonical, orders
from kubenas.space.cells.ordered_graphs import OrderedGraphs, ordered_graphs, upward_edges
from kubenas.space.cells.wiring import Values, Wiring
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice, Ordinal


class FreeWiring(Wiring):
    """The number of nodes, an operation for each but input and output, and whether there is an edge between each two.

    Every node lies between input and output. Cells that differ only by the numbers of their nodes have one key.
    """

    def __init__(self, cell: Cell, prefix: str) -> None:
        self._most_edges = cell.max_edges or 1
        self._most_nodes = min(cell.nodes, self._most_edges + 1)
        nodes = Decision(f"{prefix}nodes", Ordinal(tuple(range(2, self._most_nodes + 1))))
        self._nodes = nodes
        # By names of vertices, which stay the same whatever the number of nodes: 0 is the input, -1 the output.
        decisions = [nodes]
        for node in range(1, self._most_nodes - 1):
            switched_on = nodes.when_in(range(node + 2, self._most_nodes + 1))
            decisions.append(Decision(f"{prefix}operation.{node}", Choice(tuple(cell.operations)), switched_on))
            decisions += [
                Decision(f"{prefix}{source}-{node}", Ordinal((0, 1)), switched_on) for source in _names(range(node))
            ]
            decisions.append(Decision(f"{prefix}{node}-output", Ordinal((0, 1)), switched_on))
        decisions.append(Decision(f"{prefix}input-output", Ordinal((0, 1))))
        super().__init__(prefix, cell.operations, decisions)

    def __str__(self) -> str:
        return f"every node must lie between input and output, with at most {self._most_edges} edges"

    @property
    def possible_edges(self) -> Sequence[Edge]:
        """From each node to each later one."""
        return upward_edges(self._most_nodes)

    @property
    def operation_vertices(self) -> Sequence[int]:
        """The nodes between input and output."""
        return range(1, self._most_nodes - 1)

    def vertex_name(self, vertex: int) -> str:
        """`input`, a number, or `output`."""
        return "output" if vertex == self._most_nodes - 1 else _names([vertex])[0]

    def graph(self, values: Values) -> Graph:
        """The nodes in order; those that are not there have no edges and no label."""
        labels = [""] * self._most_nodes
        for node in self.operation_vertices:
            labels[node] = str(values.get(f"{self.prefix}operation.{node}", ""))
        edges = {slot: "" for slot in self.possible_edges if values.get(self._edge(slot)) == 1}
        return Graph(tuple(labels), edges)

    def allows(self, values: Values) -> bool:
        """Whether every node lies between input and output, and edges are not too many."""
        nodes = int(values[self._nodes.name])
        edges = [slot for slot in self.possible_edges if values.get(self._edge(slot)) == 1]
        last = self._most_nodes - 1
        sources, targets = {source for source, _ in edges}, {target for _, target in edges}
        inner = set(range(1, nodes - 1))
        return 0 < len(edges) <= self._most_edges and sources == {0, *inner} and targets == {*inner, last}

    def key(self, values: Values) -> str:
        """The canonical form of the graph."""
        return canonical(self._there(values)).text

    def multiplicity(self, values: Values) -> int:
        """Number of different graphs that numberings of the nodes give."""
        graph = self._there(values)
        return orders(graph, range(1, len(graph.labels) - 1)) // canonical(graph).automorphisms

    def size(self) -> int:
        """Number of keys."""
        return sum(graphs.cells() for graphs in self._graphs.values())

    def assignments(self) -> Iterator[dict[str, Value]]:
        """All allowed assignments, by number of nodes."""
        for nodes, kind in self._graphs.items():
            for graph in kind.graphs.tolist():
                for operations in product(self.operations, repeat=nodes - 2):
                    yield self._decided(nodes, graph, operations)

    def sample(self, rng: Random) -> dict[str, Value]:
        """One cell, each as likely as any other by `key`.

        A graph is drawn by its share of unordered ones, and operations as often as they keep its symmetries.
        """
        while True:
            index = bisect_right(self._cumulative, rng.random() * self._cumulative[-1])
            nodes, graph, symmetries = self._listed[index]
            values = self._decided(nodes, graph, rng.choices(self.operations, k=nodes - 2))
            if symmetries == 1 or rng.random() * symmetries < canonical(self._there(values)).automorphisms:
                return values

    def _decided(self, nodes: int, graph: int, operations: Sequence[str]) -> dict[str, Value]:
        values: dict[str, Value] = {self._nodes.name: nodes}
        for node, operation in enumerate(operations, start=1):
            values[f"{self.prefix}operation.{node}"] = operation
        last = self._most_nodes - 1
        for bit, (source, target) in enumerate(upward_edges(nodes)):
            values[self._edge((source, last if target == nodes - 1 else target))] = graph >> bit & 1
        return {decision.name: values[decision.name] for decision in self.decisions if decision.name in values}

    @cached_property
    def _graphs(self) -> dict[int, OrderedGraphs]:
        return {
            nodes: ordered_graphs(nodes, self._most_edges, len(self.operations))
            for nodes in range(2, self._most_nodes + 1)
        }

    @cached_property
    def _listed(self) -> list[tuple[int, int, int]]:
        """Nodes, edges and symmetries of each graph."""
        return [
            (nodes, graph, symmetries)
            for nodes, kind in self._graphs.items()
            for graph, symmetries in zip(kind.graphs.tolist(), kind.symmetries.tolist(), strict=True)
        ]

    @cached_property
    def _cumulative(self) -> list[float]:
        """Sums of the graphs' weights."""
        weights = [
            len(self.operations) ** (nodes - 2) * kind.symmetries / kind.orders for nodes, kind in self._graphs.items()
        ]
        return list(np.cumsum(np.concatenate(weights)).tolist())

    def _there(self, values: Values) -> Graph:
        """The graph without the nodes beyond the chosen number."""
        nodes, last = int(values[self._nodes.name]), self._most_nodes - 1
        graph = self.graph(values)
        labels = ("input", *graph.labels[1 : nodes - 1], "output")
        return Graph(labels, {(s, nodes - 1 if t == last else t): label for (s, t), label in graph.edges.items()})

    def _edge(self, slot: Edge) -> str:
        return f"{self.prefix}{self.vertex_name(slot[0])}-{self.vertex_name(slot[1])}"


def _names(vertices: Sequence[int]) -> list[str]:
    return ["input" if vertex == 0 else str(vertex) for vertex in vertices]
