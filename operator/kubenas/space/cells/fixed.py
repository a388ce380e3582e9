"""Cells with fixed edges, and operations on edges or on nodes: NAS-Bench-201 is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from graphlib import TopologicalSorter

from kubenas.api.cell import Cell
from kubenas.space.cells.graph import Edge, Graph, canonical
from kubenas.space.cells.wiring import Values, Wiring
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice
from kubenas.space.sampler import COUNTED


class FixedWiring(Wiring):
    """An operation for each edge, or for each node between input and output.

    Two cells are one where they compute the same: `none` is no edge, a skip is its source, sums have no order, what
    gets nothing gives nothing, what does not reach the output does not count, and operations without weights are one
    where they apply to the same.
    """

    def __init__(self, cell: Cell, prefix: str) -> None:
        edges = cell.edges or [[source, target] for target in range(cell.nodes) for source in range(target)]
        sorter: TopologicalSorter[int] = TopologicalSorter({node: set() for node in range(cell.nodes)})
        for source, target in edges:
            sorter.add(target, source)
        self._order = _ends_last(list(sorter.static_order()), cell.nodes - 1)
        place = {node: index for index, node in enumerate(self._order)}
        # Vertices of the graph are nodes in an order in which every edge goes up.
        self._slots = tuple((place[source], place[target]) for source, target in edges)
        self._on_edges = cell.operations_on == "edges"
        self._inner = () if self._on_edges else tuple(place[node] for node in range(1, cell.nodes - 1))
        self.none, self.skip = cell.none, cell.skip
        self._weightless = frozenset(cell.weightless or ())
        names = (
            [f"{prefix}{source}-{target}" for source, target in edges]
            if self._on_edges
            else [f"{prefix}{node}" for node in range(1, cell.nodes - 1)]
        )
        super().__init__(prefix, cell.operations, [Decision(name, Choice(tuple(cell.operations))) for name in names])

    @property
    def slots(self) -> Sequence[Edge]:
        """The edges."""
        return self._slots

    @property
    def inner(self) -> Sequence[int]:
        """The nodes between input and output where operations are on nodes."""
        return self._inner

    def vertex_name(self, vertex: int) -> str:
        """The user's number of the node."""
        return str(self._order[vertex])

    def graph(self, values: Values) -> Graph:
        """The nodes and edges, each with its operation."""
        chosen = [str(values[decision.name]) for decision in self.decisions]
        labels = [""] * len(self._order)
        if self._on_edges:
            return Graph(tuple(labels), dict(zip(self._slots, chosen, strict=True)))
        for vertex, operation in zip(self._inner, chosen, strict=True):
            labels[vertex] = operation
        return Graph(tuple(labels), dict.fromkeys(self._slots, ""))

    def key(self, values: Values) -> str:
        """What the cell computes, as the canonical form of its operations; `0` where nothing reaches the output."""
        return self._key(self.graph(values))

    def multiplicity(self, values: Values) -> int:
        """Number of ways to decide with this key; 1 where there are too many in all to count."""
        return self._counts[self.key(values)] if self._assignments <= COUNTED else 1

    def size(self) -> int | None:
        """Number of keys."""
        return len(self._counts) if self._assignments <= COUNTED else None

    @property
    def _assignments(self) -> int:
        return int(len(self.operations) ** len(self.decisions))

    @cached_property
    def _counts(self) -> Counter[str]:
        return Counter(self.key(values) for values in self.ways())

    def _key(self, graph: Graph) -> str:
        labels, edges = ["in"], dict[Edge, str]()
        known: dict[tuple[str, frozenset[tuple[int, int]]], int] = {}
        ordered = sorted(graph.edges.items(), key=lambda item: item[0][1])

        def applied(operation: str, terms: Counter[int]) -> Counter[int]:
            """What an operation gives, as terms of a sum: vertices, each with how often it is added."""
            if operation == self.none or not terms:
                return Counter()
            if operation in ("", self.skip):
                return terms
            same = (operation, frozenset(terms.items()))
            vertex = known.get(same) if operation in self._weightless else None
            if vertex is None:
                vertex = known[same] = len(labels)
                labels.append(operation)
                edges.update({(term, vertex): _times(count) for term, count in terms.items()})
            return Counter({vertex: 1})

        sums: list[Counter[int]] = [Counter({0: 1})] + [Counter() for _ in graph.labels[1:]]
        at = 0
        for vertex in range(1, len(graph.labels)):
            while at < len(ordered) and ordered[at][0][1] == vertex:
                (source, _), operation = ordered[at]
                sums[vertex].update(applied(operation, sums[source]))
                at += 1
            sums[vertex] = applied(graph.labels[vertex], sums[vertex])
        if not sums[-1]:
            return "0"
        output = len(labels)
        edges.update({(term, output): _times(count) for term, count in sums[-1].items()})
        return _canonical_key(Graph((*labels, "out"), edges), output)


def _canonical_key(graph: Graph, output: int) -> str:
    used = sorted(graph.between((0,), (output,)))
    place = {vertex: index for index, vertex in enumerate(used)}
    edges = {(place[s], place[t]): label for (s, t), label in graph.edges.items() if s in place and t in place}
    return canonical(Graph(tuple(graph.labels[vertex] for vertex in used), edges)).text


def _times(count: int) -> str:
    return "" if count == 1 else str(count)


def _ends_last(order: list[int], output: int) -> list[int]:
    """The order with the input first and the output last: edges into the one and out of the other carry nothing."""
    return [0, *(node for node in order if node not in (0, output)), output]
