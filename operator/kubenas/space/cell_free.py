"""Cells with any edges up to a number, and operations on nodes: NAS-Bench-101 is one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import permutations
from math import comb
from random import Random

import numpy as np

from kubenas.api.cell import Cell
from kubenas.space.base import Value
from kubenas.space.cell_wiring import Values, Wiring
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice, Ordinal
from kubenas.space.graph import Edge, Graph, canonical, orders

# Nodes up to which cells are counted: each further one takes 50 times as long.
MAX_COUNTED = 7


class FreeWiring(Wiring):
    """The number of nodes, an operation for each but input and output, and whether there is an edge between each two.

    Every node lies between input and output. Two cells are one where they differ by the numbers of their nodes only.
    """

    def __init__(self, cell: Cell, prefix: str) -> None:
        self._most_nodes = cell.nodes
        self._most_edges = cell.max_edges or 1
        # Without inner nodes there is one cell: the edge from input to output.
        nodes = Decision(f"{prefix}nodes", Ordinal(tuple(range(2, cell.nodes + 1))))
        self._nodes = nodes
        # By names of vertices, which stay the same whatever the number of nodes: 0 is the input, -1 the output.
        decisions = [nodes]
        for node in range(1, cell.nodes - 1):
            switched_on = nodes.having(range(node + 2, cell.nodes + 1))
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
    def slots(self) -> Sequence[Edge]:
        """From each node to each later one."""
        return _slots(self._most_nodes)

    @property
    def inner(self) -> Sequence[int]:
        """The nodes between input and output."""
        return range(1, self._most_nodes - 1)

    def vertex_name(self, vertex: int) -> str:
        """`input`, a number, or `output`."""
        return "output" if vertex == self._most_nodes - 1 else _names([vertex])[0]

    def graph(self, values: Values) -> Graph:
        """The nodes in order; those that are not there have no edges and no label."""
        labels = [""] * self._most_nodes
        for node in self.inner:
            labels[node] = str(values.get(f"{self.prefix}operation.{node}", ""))
        edges = {slot: "" for slot in self.slots if values.get(self._edge(slot)) == 1}
        return Graph(tuple(labels), edges)

    def allows(self, values: Values) -> bool:
        """Whether every node lies between input and output, and edges are not too many."""
        nodes = int(values[self._nodes.name])
        edges = [slot for slot in self.slots if values.get(self._edge(slot)) == 1]
        last = self._most_nodes - 1
        sources, targets = {source for source, _ in edges}, {target for _, target in edges}
        inner = set(range(1, nodes - 1))
        return 0 < len(edges) <= self._most_edges and sources == {0, *inner} and targets == {*inner, last}

    def key(self, values: Values) -> str:
        """The canonical form of the graph."""
        return canonical(self._there(values)).text

    def multiplicity(self, values: Values) -> int:
        """Number of ways to number the nodes."""
        graph = self._there(values)
        return orders(graph, range(1, len(graph.labels) - 1)) // canonical(graph).automorphisms

    def size(self) -> int | None:
        """Number of keys, by Burnside's lemma; None where there are too many graphs to go through."""
        return self._size

    def random(self, rng: Random) -> dict[str, Value]:
        """A number of nodes and of edges as likely as it has graphs, then a graph that connects them all."""
        kinds = list(self._graphs)
        weights = list(self._graphs.values())
        while True:
            nodes, count = rng.choices(kinds, weights)[0]
            edges = rng.sample(_slots(nodes), count)
            if len({source for source, _ in edges}) == len({target for _, target in edges}) == nodes - 1:
                return self._decided(nodes, set(edges), rng)

    def _decided(self, nodes: int, edges: set[Edge], rng: Random) -> dict[str, Value]:
        last = self._most_nodes - 1
        there = {(source, last if target == nodes - 1 else target) for source, target in edges}
        values: dict[str, Value] = {self._nodes.name: nodes}
        for node in range(1, nodes - 1):
            values[f"{self.prefix}operation.{node}"] = rng.choice(self.operations)
        for slot in self.slots:
            if all(vertex < nodes - 1 or vertex == last for vertex in slot):
                values[self._edge(slot)] = int(slot in there)
        return {decision.name: values[decision.name] for decision in self.decisions if decision.name in values}

    @cached_property
    def _graphs(self) -> dict[tuple[int, int], int]:
        """Number of labelled graphs with so many nodes and edges, connected or not."""
        return {
            (nodes, count): comb(comb(nodes, 2), count) * len(self.operations) ** (nodes - 2)
            for nodes in range(2, self._most_nodes + 1)
            for count in range(nodes - 1, min(self._most_edges, comb(nodes, 2)) + 1)
        }

    @cached_property
    def _size(self) -> int | None:
        if self._most_nodes > MAX_COUNTED:
            return None
        return sum(
            count_cells(nodes, self._most_edges, len(self.operations)) for nodes in range(2, self._most_nodes + 1)
        )

    def _there(self, values: Values) -> Graph:
        """The graph of the nodes that are there."""
        nodes, last = int(values[self._nodes.name]), self._most_nodes - 1
        graph = self.graph(values)
        labels = ("input", *graph.labels[1 : nodes - 1], "output")
        return Graph(labels, {(s, nodes - 1 if t == last else t): label for (s, t), label in graph.edges.items()})

    def _edge(self, slot: Edge) -> str:
        return f"{self.prefix}{self.vertex_name(slot[0])}-{self.vertex_name(slot[1])}"


def count_cells(nodes: int, edges: int, operations: int) -> int:
    """Number of different cells with just so many nodes and at most so many edges.

    Each graph with an order of its nodes counts by one over the number of ways to order them, and once for each choice
    of operations and each symmetry that keeps it (Burnside's lemma).
    """
    slots = _slots(nodes)
    graphs = np.arange(1 << len(slots))
    graphs = graphs[np.bitwise_count(graphs) <= edges]
    for vertex in range(nodes):
        for end, needed in ((0, vertex < nodes - 1), (1, vertex > 0)):
            mask = sum(1 << place for place, slot in enumerate(slots) if slot[end] == vertex)
            graphs = graphs[(graphs & mask != 0) == needed]
    orderings, kept = np.zeros(len(graphs), int), np.zeros(len(graphs), int)
    for order in permutations(range(1, nodes - 1)):
        number = (0, *order, nodes - 1)
        backwards, image = 0, np.zeros(len(graphs), int)
        for place, (source, target) in enumerate(slots):
            renumbered = (number[source], number[target])
            if renumbered in slots:
                image |= (graphs >> place & 1) << slots.index(renumbered)
            else:
                backwards |= 1 << place
        forwards = graphs & backwards == 0
        orderings += forwards
        kept += (forwards & (image == graphs)) * operations ** _cycles(number)
    return round(float(np.sum(kept / orderings)))


def _cycles(number: Sequence[int]) -> int:
    """Cycles of a renumbering of the nodes between the first and the last."""
    left, cycles = set(range(1, len(number) - 1)), 0
    while left:
        cycles += 1
        node = next(iter(left))
        while node in left:
            left.remove(node)
            node = number[node]
    return cycles


def _slots(nodes: int) -> list[Edge]:
    return [(source, target) for target in range(1, nodes) for source in range(target)]


def _names(vertices: Sequence[int]) -> list[str]:
    return ["input" if vertex == 0 else str(vertex) for vertex in vertices]
