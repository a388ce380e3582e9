"""A cell as a graph of named operations."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add

import torch
from torch import Tensor, nn

from kubenas.space.cells.graph import Graph


class CellGraph(nn.Module):
    """The last vertex of an acyclic graph whose vertices sum their inputs, each edge and vertex with its operation.

    Args:
        graph: edges go to higher numbers; a vertex without inputs gives zeros, and is left out if nothing reads it.
        starts: how many vertices, from 0 on, are the inputs.
        make: the operation of (name, source vertex), whose parameters' names begin with its own, as they lie below
            `edges.SOURCE-TARGET` and `vertices.VERTEX`; `""` is never asked for, since it changes nothing.
        concatenated: whether the last vertex concatenates its inputs instead of summing them.
    """

    def __init__(
        self, graph: Graph, starts: int, make: Callable[[str, int], nn.Module], *, concatenated: bool = False
    ) -> None:
        super().__init__()
        self._starts = starts
        self._last = len(graph.labels) - 1
        self._concatenated = concatenated
        edges = sorted(graph.edges)
        self._sources = [[source for source, target in edges if target == vertex] for vertex in range(self._last + 1)]
        self.edges = nn.ModuleDict(
            {
                f"{source}-{target}": make(graph.edges[source, target], source)
                for source, target in edges
                if graph.edges[source, target]
            }
        )
        self.vertices = nn.ModuleDict(
            {str(vertex): make(label, vertex) for vertex, label in enumerate(graph.labels) if label}
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """The inputs, each (batch, channels, height, width), to the last vertex."""
        values = dict(enumerate(inputs))
        for vertex in range(self._starts, self._last + 1):
            if terms := [self._along(source, vertex, values) for source in self._sources[vertex]]:
                joined = vertex == self._last and self._concatenated
                value = torch.cat(terms, dim=1) if joined else reduce(add, terms)
                values[vertex] = self.vertices[str(vertex)](value) if str(vertex) in self.vertices else value
        return values[self._last] if self._last in values else torch.zeros_like(inputs[0])

    def _along(self, source: int, target: int, values: dict[int, Tensor]) -> Tensor:
        edge = f"{source}-{target}"
        # A vertex without inputs.
        value = values.get(source)
        value = torch.zeros_like(values[0]) if value is None else value
        return self.edges[edge](value) if edge in self.edges else value
