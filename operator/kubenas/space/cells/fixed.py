"""Cells with fixed edges, and operations on edges or on nodes: NAS-Bench-201 is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from graphlib import TopologicalSorter
from operator import itemgetter
from typing import Final, TypeAlias, cast

from kubenas.api.cell import Cell
from kubenas.space.architecture import Value
from kubenas.space.cells.graph import Edge, Graph, canonical
from kubenas.space.cells.wiring import Values, Wiring
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice
from kubenas.space.sampler import MAX_LISTED

# Of few paths the operations are read one path after the other, which takes longer than `Wiring` where there are more.
MAX_READ_PATHS: Final = 32
# Sequences of operations whose numbers are kept.
MAX_NUMBERED: Final = 4096

# A sum: vertices, each with how often it is added.
Terms: TypeAlias = dict[int, int]


class FixedWiring(Wiring):
    """An operation for each edge, or for each node between input and output.

    Cells have one key where they compute the same. `none` is no edge, a skip is its source, sums have no order, an
    operation on nothing gives nothing, and what does not lead to the output does not count. Two operations with weights
    are never equal, since each has its own; two without are, where they apply to the same input.
    """

    def __init__(self, cell: Cell, prefix: str) -> None:
        edges = cell.edges or [[source, target] for target in range(cell.nodes) for source in range(target)]
        # Vertices of the graph are nodes in an order in which every edge goes up.
        self._order = _upward_order(cell.nodes, edges)
        vertices = {node: vertex for vertex, node in enumerate(self._order)}
        self._possible_edges = tuple((vertices[source], vertices[target]) for source, target in edges)
        self._on_edges = cell.operations_on == "edges"
        self._operation_vertices = () if self._on_edges else tuple(vertices[node] for node in range(1, cell.nodes - 1))
        self.none, self.skip = cell.none, cell.skip
        self._weightless = frozenset(cell.weightless or ())
        names = (
            [f"{prefix}{source}-{target}" for source, target in edges]
            if self._on_edges
            else [f"{prefix}{node}" for node in range(1, cell.nodes - 1)]
        )
        self._unlabelled = ("",) * cell.nodes
        # Edges with the names of their decisions; those without a decision have no name.
        edge_names = names if self._on_edges else [""] * len(edges)
        self._by_target = sorted(zip(self._possible_edges, edge_names, strict=True), key=lambda item: item[0][1])
        # For each vertex the sources of its edges, each with the edge's index.
        self._feeding = tuple(
            tuple((source, edge) for edge, (source, target) in enumerate(self._possible_edges) if target == vertex)
            for vertex in range(cell.nodes)
        )
        super().__init__(prefix, cell.operations, [Decision(name, Choice(tuple(cell.operations))) for name in names])
        self._total = int(len(cell.operations) ** len(names))

    @property
    def possible_edges(self) -> Sequence[Edge]:
        """The edges."""
        return self._possible_edges

    @property
    def operation_vertices(self) -> Sequence[int]:
        """The nodes between input and output where operations are on nodes."""
        return self._operation_vertices

    def vertex_name(self, vertex: int) -> str:
        """The user's number of the node."""
        return str(self._order[vertex])

    def graph(self, values: Values) -> Graph:
        """The nodes and edges, each with its operation."""
        if self._on_edges:
            operations = cast("Mapping[str, str]", values)
            return Graph(self._unlabelled, {slot: operations[name] for slot, name in self._by_target})
        _, labels = self._labelled([str(values[decision.name]) for decision in self.decisions])
        return Graph(tuple(labels), {slot: "" for slot, _ in self._by_target})

    def _sequences(self, values: Values) -> Sequence[Sequence[int]]:
        if len(self._paths) > MAX_READ_PATHS:
            return super()._sequences(values)
        number = self._number
        return ([number(operations(values)) for operations in self._paths],)

    @cached_property
    def _paths(self) -> Sequence[Callable[[Values], tuple[Value, ...]]]:
        """For each path from the input to the output what reads its operations: edges are the same in all cells."""
        names: list[list[tuple[str, ...]]] = [[] for _ in self._order]
        names[0].append(())
        decisions = [] if self._on_edges else [decision.name for decision in self.decisions]
        applied = dict(zip(self._operation_vertices, decisions, strict=True))
        for (source, target), name in self._by_target:
            names[target] += [(*before, *filter(None, (name, applied.get(target)))) for before in names[source]]
        return [_reader(path) for path in names[-1]]

    @cached_property
    def _number(self) -> Callable[[tuple[Value, ...]], int]:
        """The number of a sequence of operations, or one that is not counted where one of them gives nothing."""

        @lru_cache(maxsize=MAX_NUMBERED)
        def number(operations: tuple[Value, ...]) -> int:
            sequence = 0
            for operation in operations:
                digit = self._digits.get(str(operation))
                if digit is None:
                    return self._counted
                sequence = len(self._applied) * sequence + digit if digit else sequence
            return sequence

        return number

    def key(self, values: Values) -> str:
        """What the cell computes, as the canonical form of its operations; `0` where nothing reaches the output."""
        computed = self._computed([str(values[decision.name]) for decision in self.decisions])
        return "0" if computed is None else canonical_text(computed.labels, tuple(computed.edges.items()))

    def multiplicity(self, values: Values) -> int:
        """Number of assignments with this key; 1 where there are too many in all to count."""
        return self._counts[self.key(values)] if self._total <= MAX_LISTED else 1

    def size(self) -> int | None:
        """Number of keys; None where it is too large to count."""
        return len(self._counts) if self._total <= MAX_LISTED else None

    @cached_property
    def _counts(self) -> Counter[str]:
        return Counter(self.key(values) for values in self.assignments())

    def _labelled(self, operations: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        """The operations of the edges and those of the vertices, empty where there is none."""
        labels = [""] * len(self._order)
        if self._on_edges:
            return operations, labels
        for vertex, operation in zip(self._operation_vertices, operations, strict=True):
            labels[vertex] = operation
        return [""] * len(self._possible_edges), labels

    def _computed(self, operations: Sequence[str]) -> Graph | None:
        """What the output depends on; None where nothing reaches it.

        A vertex for the input, for each operation that is applied and for the output; an edge from what is added to
        what is applied to the sum, labelled with how often where that is more than once.
        """
        edge_operations, vertex_operations = self._labelled(operations)
        none, passing, weightless = self.none, ("", self.skip), self._weightless
        incoming = [
            [(source, operation) for source, edge in feeding if (operation := edge_operations[edge]) != none]
            if applied != none
            else []
            for feeding, applied in zip(self._feeding, vertex_operations, strict=True)
        ]
        used = _reaching_last(incoming)
        labels, edges = ["in"], dict[Edge, str]()
        shared: dict[tuple[str, frozenset[tuple[int, int]]], int] = {}

        def apply(operation: str, terms: Terms) -> Terms:
            vertex = len(labels)
            if operation in weightless:
                vertex = shared.setdefault((operation, frozenset(terms.items())), vertex)
            if vertex == len(labels):
                labels.append(operation)
                for term, count in terms.items():
                    edges[term, vertex] = _times(count)
            return {vertex: 1}

        sums: list[Terms] = [{0: 1}]
        for target in range(1, len(incoming)):
            total: Terms = {}
            for source, operation in incoming[target] if target in used else ():
                if not (terms := sums[source]):
                    continue
                if operation not in passing:
                    terms = apply(operation, terms)
                for term, count in terms.items():
                    total[term] = total.get(term, 0) + count
            applied = vertex_operations[target]
            sums.append(apply(applied, total) if total and applied not in passing else total)
        if not sums[-1]:
            return None
        edges.update({(term, len(labels)): _times(count) for term, count in sums[-1].items()})
        return Graph((*labels, "out"), edges)


def _reader(names: Sequence[str]) -> Callable[[Values], tuple[Value, ...]]:
    """What reads the values of the names."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple([values[name] for name in names])


@lru_cache(maxsize=4096)
def canonical_text(labels: tuple[str, ...], edges: tuple[tuple[Edge, str], ...]) -> str:
    """The canonical form of a graph: thousands of assignments have few graphs."""
    return canonical(Graph(labels, dict(edges))).text


def _reaching_last(incoming: Sequence[Sequence[tuple[int, str]]]) -> set[int]:
    """The vertices from which edges lead to the last one."""
    reaching = {len(incoming) - 1}
    for target in range(len(incoming) - 1, 0, -1):
        if target in reaching:
            reaching.update(source for source, _ in incoming[target])
    return reaching


def _times(count: int) -> str:
    return "" if count == 1 else str(count)


def _upward_order(nodes: int, edges: Sequence[Sequence[int]]) -> list[int]:
    """The nodes so that every edge goes up, the input first and the output last.

    Edges into the one and out of the other carry nothing.
    """
    sorter: TopologicalSorter[int] = TopologicalSorter({node: set() for node in range(nodes)})
    for source, target in edges:
        sorter.add(target, source)
    return [0, *(node for node in sorter.static_order() if node not in (0, nodes - 1)), nodes - 1]
