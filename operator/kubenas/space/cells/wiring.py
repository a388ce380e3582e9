"""What all wirings of a cell have in common: decisions, keys, encodings, text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from random import Random

from kubenas.space.architecture import Value
from kubenas.space.cells.graph import Edge, Graph
from kubenas.space.decisions import Decision

# Path counts leave out sequences so long that a cell would have more numbers than this (truncated as in White et al.,
# "A Study on Encodings for Neural Architecture Search", NeurIPS 2020, arXiv:2007.04965).
MAX_SEQUENCES = 400

Values = Mapping[str, Value]


class Wiring(ABC):
    """One cell of a space: the decisions whose names begin with `prefix`.

    Attributes:
        decisions: what there is to decide.
        operations: what an edge or a node can do.
    """

    def __init__(self, prefix: str, operations: Sequence[str], decisions: Sequence[Decision]) -> None:
        self.prefix = prefix
        self.operations = tuple(operations)
        self.decisions = tuple(decisions)

    # The operation that gives zeros, and the identity.
    none: str | None = None
    skip: str | None = None

    @abstractmethod
    def graph(self, values: Values) -> Graph:
        """The cell with its edges going up, in order of their targets; input vertices first, the output last."""

    @property
    @abstractmethod
    def possible_edges(self) -> Sequence[Edge]:
        """All edges that `graph` can have."""

    @property
    @abstractmethod
    def operation_vertices(self) -> Sequence[int]:
        """The vertices of `graph` that have an operation."""

    @property
    def input_vertices(self) -> Sequence[int]:
        """The vertices of `graph` that are the cell's inputs."""
        return (0,)

    @abstractmethod
    def key(self, values: Values) -> str:
        """Canonical key: equal for cells that compute the same."""

    @abstractmethod
    def multiplicity(self, values: Values) -> int:
        """Number of allowed assignments with the key of this one."""

    @abstractmethod
    def size(self) -> int | None:
        """Number of keys; None where it is too large to count."""

    def assignments(self) -> Iterator[dict[str, Value]]:
        """All allowed assignments, the last decision changing fastest."""
        names = [decision.name for decision in self.decisions]
        values = (
            [decision.domain.at(index) for index in range(decision.domain.size() or 0)] for decision in self.decisions
        )
        return (dict(zip(names, chosen, strict=True)) for chosen in product(*values))

    def distinct(self) -> Iterator[dict[str, Value]]:
        """Each cell once by `key`."""
        keys: set[str] = set()
        for values in self.assignments():
            if (key := self.key(values)) not in keys:
                keys.add(key)
                yield values

    def sample(self, rng: Random) -> dict[str, Value]:
        """One cell by rejection, uniform over keys."""
        while True:
            values = {decision.name: decision.domain.sample(rng) for decision in self.decisions}
            if rng.random() * self.multiplicity(values) < 1.0:
                return values

    def allows(self, values: Values) -> bool:  # noqa: ARG002 - for wirings that choose edges
        """Whether the edges connect the nodes."""
        return True

    def live(self, values: Values) -> Graph:
        """The graph without edges and vertices that carry nothing or do not lead to the output."""
        graph = self.graph(values)
        carrying = self._carrying(graph)
        fed, used = self._reached(carrying, len(graph.labels) - 1)
        return Graph(
            tuple([label if vertex in fed and vertex in used else "" for vertex, label in enumerate(graph.labels)]),
            {edge: label for edge, label in carrying.items() if edge[0] in fed and edge[1] in used},
        )

    def _carrying(self, graph: Graph) -> dict[Edge, str]:
        """The edges that neither have the operation `none` nor lead to or from a vertex that has it."""
        if self.none is None:
            return graph.edges
        if not self.operation_vertices:
            return {edge: label for edge, label in graph.edges.items() if label != self.none}
        empty = {vertex for vertex, label in enumerate(graph.labels) if label == self.none}
        return {edge: label for edge, label in graph.edges.items() if not empty.intersection(edge)}

    def _reached(self, edges: dict[Edge, str], output: int) -> tuple[set[int], set[int]]:
        """The vertices that edges (by target) lead to from an input, and those from which they lead to the output."""
        fed, used = set(self.input_vertices), {output}
        for source, target in edges:
            if source in fed:
                fed.add(target)
        for source, target in reversed(edges):
            if target in used:
                used.add(source)
        return fed, used

    def adjacency(self, values: Values) -> list[float]:
        """For each possible edge its operation one-hot, or 1 where edges have no operations; for each vertex with an
        operation that one-hot.

        Edges and vertices that carry nothing or do not lead to the output have the operation `none`, or zeros where
        there is no such operation.
        """
        graph = self.graph(values)
        carrying = self._carrying(graph)
        fed, used = self._reached(carrying, len(graph.labels) - 1)
        one_hot, none = self._one_hot, self.none
        encoded: list[float] = []
        if not self.operation_vertices:
            for slot in self.possible_edges:
                encoded += one_hot[carrying.get(slot, none) if slot[0] in fed and slot[1] in used else none]
            return encoded
        encoded += [float(slot in carrying and slot[0] in fed and slot[1] in used) for slot in self.possible_edges]
        for vertex in self.operation_vertices:
            encoded += one_hot[graph.labels[vertex] if vertex in fed and vertex in used else none]
        return encoded

    @cached_property
    def _one_hot(self) -> dict[str | None, list[float]]:
        rows: dict[str | None, list[float]] = {None: [0.0] * len(self.operations)}
        return rows | {name: [float(other == name) for other in self.operations] for name in self.operations}

    def path_counts(self, values: Values) -> list[float]:
        """For each input how many paths from it to the output apply each sequence of operations.

        Skips are left out of a sequence (White et al., "BANANAS", AAAI 2021, arXiv:1910.11858, has them as operations).
        Sequences are in order of length, then of operations.
        """
        graph = self.graph(values)
        carrying = self._carrying(graph)
        labels, numbers, base, total = graph.labels, self._applied, len(self._applied), self._sequences
        counts: list[float] = []
        for start in self.input_vertices:
            # For each vertex how many paths apply each sequence; sequences are numbered level by level, as a heap is.
            paths: list[dict[int, float]] = [{} for _ in labels]
            paths[start][0] = 1.0
            for (source, target), operation in carrying.items():
                reached, on_edge, on_vertex = paths[target], numbers.get(operation), numbers.get(labels[target])
                for sequence, count in paths[source].items():
                    longer = base * sequence + on_edge if on_edge else sequence
                    longer = base * longer + on_vertex if on_vertex else longer
                    if longer < total:
                        reached[longer] = reached.get(longer, 0.0) + count
            row = [0.0] * total
            for sequence, count in paths[-1].items():
                row[sequence] = count
            counts += row
        return counts

    @cached_property
    def _applied(self) -> dict[str, int]:
        """The operations that a sequence holds, numbered from 1."""
        applied = [operation for operation in self.operations if operation not in (self.none, self.skip)]
        return {operation: number for number, operation in enumerate(applied, start=1)}

    @cached_property
    def _sequences(self) -> int:
        """Number of sequences that are counted: all up to a length."""
        longest = len(self.operation_vertices) or len({target for _, target in self.possible_edges})
        found = 1
        for length in range(1, longest + 1):
            if (found + len(self._applied) ** length) * len(self.input_vertices) > MAX_SEQUENCES:
                break
            found += len(self._applied) ** length
        return found

    def lines(self, values: Values) -> Iterator[tuple[str, str]]:
        """Each vertex that sums something up, with what it sums up."""
        graph = self.live(values)
        for vertex, label in enumerate(graph.labels):
            terms = [
                self._term(operation, self.vertex_name(source))
                for (source, target), operation in sorted(graph.edges.items())
                if target == vertex
            ]
            if terms:
                applied = label if vertex in self.operation_vertices else ""
                yield self.vertex_name(vertex), self._term(applied, " + ".join(terms))

    @abstractmethod
    def vertex_name(self, vertex: int) -> str:
        """What users call a vertex of `graph`."""

    def _term(self, operation: str, of: str) -> str:
        return of if operation in ("", self.skip) else f"{operation}({of})"
