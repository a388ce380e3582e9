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
        counts: list[float] = []
        counted = self._counted
        for sequences in self._sequences(values):
            row = [0.0] * counted
            for sequence in sequences:
                if sequence < counted:
                    row[sequence] += 1.0
            counts += row
        return counts

    def _sequences(self, values: Values) -> Sequence[Sequence[int]]:
        """For each input the sequences of the paths from it to the output, numbered level by level as a heap is."""
        graph = self.graph(values)
        labels, digits, base = graph.labels, self._digits, len(self._applied)
        # What each edge appends; edges that carry nothing are left out.
        edges = [
            (edge, digit)
            for edge, operation in graph.edges.items()
            if (digit := digits.get(operation or labels[edge[0]])) is not None
        ]
        sequences: list[list[int]] = []
        for start in self.input_vertices:
            reaching: list[list[int]] = [[] for _ in labels]
            reaching[start].append(0)
            for (source, target), digit in edges:
                if digit:
                    for sequence in reaching[source]:
                        reaching[target].append(base * sequence + digit)
                else:
                    reaching[target] += reaching[source]
            sequences.append(reaching[-1])
        return sequences

    @cached_property
    def _applied(self) -> Sequence[str]:
        """The operations that a sequence holds."""
        return [operation for operation in self.operations if operation not in (self.none, self.skip)]

    @cached_property
    def _digits(self) -> dict[str, int]:
        """What each operation appends to a sequence: its number from 1, or 0 where it leaves the sequence as it is."""
        passing = {"": 0} if self.skip is None else {"": 0, self.skip: 0}
        return passing | {operation: number for number, operation in enumerate(self._applied, start=1)}

    @cached_property
    def _counted(self) -> int:
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
