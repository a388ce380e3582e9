"""A cell, the small graph that a network repeats, as users write it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from kubenas.api.base import Ruled
from kubenas.api.errors import SpecError, repeats
from kubenas.api.rule import Rule, Unique

MAX_NODES: Final = 12

Operation = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-zA-Z][-a-zA-Z0-9_]*$")]
CellName = Annotated[str, Field(min_length=1, max_length=31, pattern=r"^[a-zA-Z][a-zA-Z0-9_]*$")]
Edge = Annotated[
    list[Annotated[int, Field(ge=0, lt=MAX_NODES)]],
    Field(min_length=2, max_length=2, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
]


class Cell(Ruled):
    """Nodes and operations, with fixed edges (NAS-Bench-201), a choice of inputs (DARTS) or of edges (NAS-Bench-101).

    A node is the sum of what comes in. Nodes are numbered from 0, the cell's input.
    """

    rules: ClassVar[Sequence[Rule[Cell] | Unique]] = [
        Rule(
            cel="[has(self.edges), has(self.inputs), has(self.maxEdges)].filter(x, x).size() <= 1",
            subject="cell",
            message="takes at most one of edges, inputs and maxEdges",
            holds=lambda cell: [cell.edges, cell.inputs, cell.max_edges].count(None) >= 2,
        ),
        Rule(
            cel="!has(self.inputs) || self.operationsOn == 'edges'",
            message="inputs chooses operations on edges: leave it out, or write edges",
            field="operationsOn",
            holds=lambda cell: cell.inputs is None or cell.operations_on == "edges",
        ),
        Rule(
            cel="!has(self.maxEdges) || self.operationsOn == 'nodes'",
            message="maxEdges chooses edges without operations: write operationsOn: nodes",
            field="operationsOn",
            holds=lambda cell: cell.max_edges is None or cell.operations_on == "nodes",
        ),
        Unique("operations"),
        Unique("cells"),
        Unique("weightless"),
    ]

    nodes: int = Field(
        ge=2,
        le=MAX_NODES,
        description="Nodes in all; the last is the output. With inputs, nodes 0 and 1 are the outputs of the two cells "
        "before, and the output is all other nodes concatenated. With maxEdges, the most that there can be.",
    )
    operations: list[Operation] = Field(min_length=1, max_length=32, description="What an edge or a node can do.")
    operations_on: Literal["edges", "nodes"] = Field(
        default="edges", description="Where operations are: on edges, or on the nodes between input and output."
    )
    edges: list[Edge] | None = Field(
        default=None,
        min_length=1,
        max_length=66,
        description="The edges, each as [from, to]; without edges, inputs or maxEdges there is one from each node to "
        "each later one.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    inputs: int | None = Field(
        default=None, ge=1, le=2, description="How many earlier nodes each node reads, each through an operation."
    )
    max_edges: int | None = Field(
        default=None, ge=1, le=66, description="The most edges, any of those from a node to a later one."
    )
    none: Operation | None = Field(
        default=None, description="The operation that gives nothing, as if its edge were not there."
    )
    skip: Operation | None = Field(default=None, description="The operation that gives what it is given.")
    weightless: list[Operation] | None = Field(
        default=None,
        min_length=1,
        max_length=32,
        description="Operations without weights: two of them on the same input give the same.",
    )
    cells: list[CellName] | None = Field(
        default=None,
        min_length=1,
        max_length=8,
        description="Names of several such cells, for example normal and reduction; without, there is one.",
    )

    def _problems(self) -> Iterator[SpecError]:
        yield from super()._problems()
        named = [("none", self.none), ("skip", self.skip)]
        named += [(f"weightless[{index}]", one) for index, one in enumerate(self.weightless or ())]
        for field, operation in named:
            if operation is not None and operation not in self.operations:
                yield SpecError(field, f"{operation!r} is no operation: there are {', '.join(self.operations)}")
        if self.none is not None and self.none == self.skip:
            yield SpecError("skip", f"{self.skip!r} is also none: an operation is one or the other")
        if [self.edges, self.inputs, self.max_edges].count(None) < 2:
            return
        if self.edges is not None:
            yield from self._edges_problems(self.edges)
        elif self.inputs is not None or self.max_edges is not None:
            yield from self._chosen_wiring_problems()

    def _chosen_wiring_problems(self) -> Iterator[SpecError]:
        """What is chosen with inputs and maxEdges has no place for operations that take part of the graph away."""
        wiring = "inputs" if self.inputs is not None else "maxEdges"
        for field in ("none", "skip", "weightless"):
            if getattr(self, field) is not None:
                yield SpecError(field, f"is for fixed edges: with {wiring}, cells differ by their edges and operations")
        if self.inputs is not None and self.nodes < 3:
            yield SpecError("nodes", "must be 3 or more with inputs: nodes 0 and 1 are the cell's inputs")
        if self.max_edges is not None and self.nodes > 7:
            yield SpecError("nodes", "must be 7 or less with maxEdges")

    def _edges_problems(self, edges: list[list[int]]) -> Iterator[SpecError]:
        usable = True
        for index, (source, target) in enumerate(edges):
            if (node := max(source, target)) >= self.nodes:
                usable = False
                yield SpecError(f"edges[{index}]", f"names node {node}: nodes go from 0 to {self.nodes - 1}")
            if source == target:
                usable = False
                yield SpecError(f"edges[{index}]", f"makes a cycle: node {source} would read itself")
        yield from repeats("edges", edges)
        if not usable:
            return
        later: dict[int, set[int]] = {node: set() for node in range(self.nodes)}
        for index, (source, target) in enumerate(edges):
            if source in _reached(later, target):
                yield SpecError(f"edges[{index}]", f"makes a cycle: node {target} already leads to node {source}")
                return
            later[source].add(target)
        if self.nodes - 1 not in _reached(later, 0):
            yield SpecError("edges", f"no way leads from node 0, the input, to node {self.nodes - 1}, the output")


def _reached(later: dict[int, set[int]], start: int) -> set[int]:
    found, front = {start}, [start]
    while front:
        new = later[front.pop()] - found
        found |= new
        front += new
    return found
