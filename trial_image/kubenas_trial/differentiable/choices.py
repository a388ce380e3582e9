"""What a mixed network chooses in each cell of a space, and the architecture that its choice is."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations, islice
from operator import or_
from random import Random
from typing import Final, TypeAlias

from kubenas.space.base import Architecture, Space, Value
from kubenas.space.cells.fixed import FixedWiring
from kubenas.space.cells.graph import Graph
from kubenas.space.cells.inputs import InputsWiring
from kubenas.space.cells.space import CellSpace
from kubenas.space.cells.wiring import Wiring
from kubenas_trial.errors import InvalidTrialError

# What this trainer calls nothing and the identity.
NONE: Final = "none"
SKIP: Final = "skip_connect"
# Architectures that constraints may refuse, the best first, before the best of some random ones is taken.
_TRIES: Final = 5_000
_RANDOM: Final = 100

# Values of some decisions, and how well they are thought of: a sum of logarithms of weights.
Option: TypeAlias = tuple[float, Mapping[str, Value]]


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices in one cell: at each place, an edge or a node, one of the same operations.

    Attributes:
        cell: the cell's name.
        graph: the cell with all of its edges; where a place is, its label.
        labels: of the places.
        targets: the vertex that each place leads to.
        operations: as this trainer calls them. Where a node chooses its inputs, `none` is one of them, as in DARTS: it
            tells how much an edge is needed, and is never derived.
        values: the space's values of the operations, None where there is none.
        wiring: the cell in the space.
    """

    cell: str
    graph: Graph
    labels: tuple[str, ...]
    targets: tuple[int, ...]
    operations: tuple[str, ...]
    values: tuple[str | None, ...]
    wiring: Wiring

    def chosen(self, architecture: Architecture) -> list[int | None]:
        """The index of each place's operation in `architecture`, None where the place is not used."""
        graph = self.wiring.graph(dict(architecture.items()))
        if self.wiring.operation_vertices:
            return [self.values.index(graph.labels[vertex]) for vertex in self.targets]
        at = {label: edge for edge, label in self.graph.edges.items()}
        edges = (at[label] for label in self.labels)
        return [self.values.index(graph.edges[edge]) if edge in graph.edges else None for edge in edges]

    def options(self, weights: Sequence[Sequence[float]]) -> Iterator[list[Option]]:
        """The options of decisions that are taken together, one list for each of them, the best option first.

        Args:
            weights: of each place and operation.
        """
        logs = [[math.log(max(weight, 1e-30)) for weight in row] for row in weights]
        ranked = [
            sorted(((log, value) for log, value in zip(row, self.values, strict=True) if value is not None), key=_best)
            for row in logs
        ]
        if isinstance(self.wiring, InputsWiring):
            yield from self._inputs(ranked)
            return
        for decision, row in zip(self.wiring.decisions, ranked, strict=True):
            yield [(log, {decision.name: value}) for log, value in row]

    def _inputs(self, ranked: Sequence[Sequence[tuple[float, str]]]) -> Iterator[list[Option]]:
        """For each node which others it reads, each by an operation; an edge is as good as its operation."""
        for node in dict.fromkeys(self.targets):
            # Places are in order of their sources, which begin with 0.
            rows = [row for row, target in zip(ranked, self.targets, strict=True) if target == node]
            names = [one.name for one in self.wiring.decisions if one.name.startswith(f"{self.wiring.prefix}{node}.")]
            found: list[Option] = []
            for sources in combinations(range(len(rows)), len(names) - 1):
                text = ",".join(map(str, sources))
                for total, operations in _sums([rows[source] for source in sources]):
                    found.append((total, dict(zip(names, (text, *operations), strict=True))))
            yield sorted(found, key=_best)


def cell_choices(space: Space) -> list[Choices]:
    """The choices in each cell of `space`.

    Raises:
        InvalidTrialError: it has no cells, or cells whose edges are chosen freely.
    """
    wirings = space.cells if isinstance(space, CellSpace) else {}
    if not wirings or not all(isinstance(wiring, FixedWiring | InputsWiring) for wiring in wirings.values()):
        raise InvalidTrialError(
            "evaluation.method: differentiable mixes the operations of cells: it is for nasbench201, darts and "
            "searchSpace.cell without maxEdges; for other spaces choose train, zero-cost or supernet"
        )
    return [_choices(name, wiring) for name, wiring in wirings.items()]


def best_architecture(
    space: Space, choices: Sequence[Choices], weights: Sequence[Sequence[Sequence[float]]]
) -> Architecture:
    """The architecture with the largest product of weights among those that the constraints of `space` allow.

    Where thousands of the best are refused, the best of a hundred random ones.

    Args:
        space: the space.
        choices: of each of its cells.
        weights: of each cell, place and operation.
    """
    options = [each for one, rows in zip(choices, weights, strict=True) for each in one.options(rows)]
    ranked = (Architecture(_joined(options, chosen)) for chosen in _in_order(options))
    for architecture in islice(ranked, _TRIES):
        # The decisions in the space's order.
        ordered = Architecture({name: architecture[name] for name in space.decisions})
        if space.allows(ordered):
            return ordered
    scores = [{tuple(values.items()): score for score, values in each} for each in options]
    rng = Random(0)

    def score(architecture: Architecture) -> float:
        return sum(each[tuple((name, architecture[name]) for name, _ in next(iter(each)))] for each in scores)

    return max((space.sample(rng) for _ in range(_RANDOM)), key=score)


def skip_share(choices: Sequence[Choices], architecture: Architecture) -> float:
    """The share of skips among the operations of an architecture's cell; of several cells, in that with most."""
    shares = []
    for one in choices:
        chosen = [index for index in one.chosen(architecture) if index is not None]
        shares.append(sum(one.operations[index] == SKIP for index in chosen) / len(chosen))
    return max(shares)


def _choices(name: str, wiring: Wiring) -> Choices:
    on_nodes = bool(wiring.operation_vertices)
    inputs = isinstance(wiring, InputsWiring)
    first = wiring.graph({decision.name: decision.domain.at(0) for decision in wiring.decisions})
    if on_nodes:
        labels = tuple(f"{name}.{vertex}" for vertex in wiring.operation_vertices)
        at = dict(zip(wiring.operation_vertices, labels, strict=True))
        graph = Graph(tuple(at.get(vertex, "") for vertex in range(len(first.labels))), first.edges)
        targets = tuple(wiring.operation_vertices)
    else:
        edges = sorted(wiring.possible_edges, key=lambda edge: edge[::-1]) if inputs else wiring.possible_edges
        labels = tuple(f"{name}.{source}-{target}" for source, target in edges)
        passing = {edge: label for edge, label in first.edges.items() if not label}
        graph = Graph(first.labels, dict(zip(edges, labels, strict=True)) | passing)
        targets = tuple(target for _, target in edges)
    own = {wiring.none: NONE, wiring.skip: SKIP}
    values: tuple[str | None, ...] = wiring.operations
    operations = tuple(own.get(operation, operation) for operation in wiring.operations)
    if inputs and NONE not in operations:
        values, operations = (*values, None), (*operations, NONE)
    return Choices(name, graph, labels, targets, operations, values, wiring)


def _sums(rows: Sequence[Sequence[tuple[float, str]]]) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Each choice of one item of each row: the sum of their numbers, and the items."""
    if not rows:
        yield 0.0, ()
        return
    for log, value in rows[0]:
        for total, values in _sums(rows[1:]):
            yield log + total, (value, *values)


def _in_order(options: Sequence[Sequence[Option]]) -> Iterator[tuple[int, ...]]:
    """All choices of one option of each list, as indices, the largest sum first."""
    start = (0,) * len(options)
    queue, seen = [(-sum(each[0][0] for each in options), start)], {start}
    while queue:
        total, chosen = heapq.heappop(queue)
        yield chosen
        for place, index in enumerate(chosen):
            following = (*chosen[:place], index + 1, *chosen[place + 1 :])
            if index + 1 < len(options[place]) and following not in seen:
                seen.add(following)
                lost = options[place][index][0] - options[place][index + 1][0]
                heapq.heappush(queue, (total + lost, following))


def _joined(options: Sequence[Sequence[Option]], chosen: Sequence[int]) -> dict[str, Value]:
    return reduce(or_, (dict(each[index][1]) for each, index in zip(options, chosen, strict=True)), {})


def _best(item: tuple[float, object]) -> float:
    return -item[0]
