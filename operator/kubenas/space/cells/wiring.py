"""What every way to wire a cell gives: its decisions, which of them are one, numbers and text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from random import Random

from kubenas.space.architecture import Value
from kubenas.space.cells.graph import Edge, Graph, path_sequences
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

    # The operations that give nothing, and what they are given.
    none: str | None = None
    skip: str | None = None

    @abstractmethod
    def graph(self, values: Values) -> Graph:
        """The cell with its edges going up; input vertices first, the output last."""

    @property
    @abstractmethod
    def slots(self) -> Sequence[Edge]:
        """The edges of `graph` that there can be."""

    @property
    @abstractmethod
    def inner(self) -> Sequence[int]:
        """The vertices of `graph` that have an operation."""

    @property
    def starts(self) -> Sequence[int]:
        """The vertices of `graph` that are the cell's inputs."""
        return (0,)

    @abstractmethod
    def key(self, values: Values) -> str:
        """Equal for cells that are one."""

    @abstractmethod
    def multiplicity(self, values: Values) -> int:
        """Number of allowed ways to decide with the key of this one."""

    @abstractmethod
    def size(self) -> int | None:
        """Number of keys; None where it is too large to count."""

    def ways(self) -> Iterator[dict[str, Value]]:
        """All allowed ways to decide, the last decision changing fastest."""
        names = [decision.name for decision in self.decisions]
        values = (
            [decision.domain.at(place) for place in range(decision.domain.size() or 0)] for decision in self.decisions
        )
        return (dict(zip(names, chosen, strict=True)) for chosen in product(*values))

    def cells(self) -> Iterator[dict[str, Value]]:
        """Each cell once by `key`."""
        keys: set[str] = set()
        for values in self.ways():
            if (key := self.key(values)) not in keys:
                keys.add(key)
                yield values

    def sample(self, rng: Random) -> dict[str, Value]:
        """One cell, each as likely as any other by `key`: by rejection."""
        while True:
            values = {decision.name: decision.domain.sample(rng) for decision in self.decisions}
            if rng.random() * self.multiplicity(values) < 1.0:
                return values

    def allows(self, values: Values) -> bool:  # noqa: ARG002 - for those that need it
        """Whether the edges make a cell."""
        return True

    def live(self, values: Values) -> Graph:
        """The graph without what carries nothing, and without what does not reach the output."""
        graph = self.graph(values)
        kept = {
            (source, target): label
            for (source, target), label in graph.edges.items()
            if self.none is None or self.none not in (label, graph.labels[source], graph.labels[target])
        }
        used = Graph(graph.labels, kept).between(self.starts, (len(graph.labels) - 1,))
        return Graph(
            tuple(label if vertex in used else "" for vertex, label in enumerate(graph.labels)),
            {edge: label for edge, label in kept.items() if edge[0] in used and edge[1] in used},
        )

    def adjacency(self, values: Values) -> list[float]:
        """For each edge that there can be its operation one-hot, or 1 where it has none; for each vertex with an
        operation that one-hot. Zeros where they carry nothing or lead nowhere.
        """
        graph = self.live(values)
        encoded: list[float] = []
        for slot in self.slots:
            label = graph.edges.get(slot)
            if self.inner:
                encoded.append(float(label is not None))
            else:
                encoded += [float(operation == label) for operation in self.operations]
        for vertex in self.inner:
            encoded += [float(operation == graph.labels[vertex]) for operation in self.operations]
        return encoded

    def path_counts(self, values: Values) -> list[float]:
        """For each input how many ways from it to the output apply each sequence of operations."""
        graph = self.live(values)
        counts: list[float] = []
        for start in self.starts:
            row = [0.0] * len(self._sequences)
            for sequence, count in path_sequences(graph, start, len(graph.labels) - 1, self.skip).items():
                if (place := self._sequences.get(sequence)) is not None:
                    row[place] += count
            counts += row
        return counts

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
                yield self.vertex_name(vertex), self._term(label if vertex in self.inner else "", " + ".join(terms))

    @abstractmethod
    def vertex_name(self, vertex: int) -> str:
        """What people call a vertex of `graph`."""

    def _term(self, operation: str, of: str) -> str:
        return of if operation in ("", self.skip) else f"{operation}({of})"

    @cached_property
    def _sequences(self) -> dict[tuple[str, ...], int]:
        applied = [operation for operation in self.operations if operation not in (self.none, self.skip)]
        longest = len(self.inner) or len({target for _, target in self.slots})
        found: list[tuple[str, ...]] = [()]
        for length in range(1, longest + 1):
            if (len(found) + len(applied) ** length) * len(self.starts) > MAX_SEQUENCES:
                break
            found += product(applied, repeat=length)
        return {sequence: place for place, sequence in enumerate(found)}
