"""Small labelled graphs without cycles: canonical forms, symmetries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, TypeVar

Edge = tuple[int, int]
Moved = TypeVar("Moved")


class Graph(NamedTuple):
    """A directed graph without cycles: the labels of its vertices, numbered from 0, and of its edges."""

    labels: tuple[str, ...]
    edges: dict[Edge, str]


@dataclass(frozen=True)
class Canonical:
    """A text that is equal if and only if graphs are isomorphic, and the number of a graph's automorphisms."""

    text: str
    automorphisms: int


def canonical(graph: Graph) -> Canonical:
    """The canonical form, by colour refinement and individualization of vertices whose colours stay equal.

    This is the search tree of McKay's nauty ("Practical graph isomorphism", 1981), pruned only where vertices have the
    same edges to the same others: for few vertices.
    """
    ranks = {label: rank for rank, label in enumerate(sorted(set(graph.labels)))}
    first = [ranks[label] for label in graph.labels]
    if len(ranks) == len(first):
        return Canonical(_written(graph, first), 1)
    best, count = "", 0
    for colours, alike in _leaves(_neighbours(graph), first):
        text = _written(graph, colours)
        if not best or text < best:
            best, count = text, 0
        count += alike * (text == best)
    return Canonical(best, count)


def orders(graph: Graph, free: Sequence[int]) -> int:
    """Number of topological orders of the vertices `free`."""
    position = {vertex: index for index, vertex in enumerate(free)}
    before = [0] * len(free)
    for source, target in graph.edges:
        if source in position and target in position:
            before[position[target]] |= 1 << position[source]

    @cache
    def orders_after(placed: int) -> int:
        if placed == (1 << len(free)) - 1:
            return 1
        return sum(
            orders_after(placed | 1 << index)
            for index, needed in enumerate(before)
            if not placed >> index & 1 and needed & ~placed == 0
        )

    return orders_after(0)


def cycles(permutation: Mapping[Moved, Moved]) -> int:
    """Number of cycles of a permutation."""
    count, left = 0, set(permutation)
    while left:
        count += 1
        one = next(iter(left))
        while one in left:
            left.remove(one)
            one = permutation[one]
    return count


def _neighbours(graph: Graph) -> list[list[tuple[str, int]]]:
    found: list[list[tuple[str, int]]] = [[] for _ in graph.labels]
    for (source, target), label in graph.edges.items():
        found[source].append((f">{label}", target))
        found[target].append((f"<{label}", source))
    return [sorted(around) for around in found]


def _refined(neighbours: Sequence[Sequence[tuple[str, int]]], colours: list[int]) -> list[int]:
    """The colours as ranks, made finer until vertices of one colour have edges to others of the same colours."""
    while True:
        sizes = Counter(colours)
        # Neighbours need not be compared where no other vertex has the colour.
        seen = [
            (colour, tuple(sorted([(label, colours[other]) for label, other in around])) if sizes[colour] > 1 else ())
            for colour, around in zip(colours, neighbours, strict=True)
        ]
        ranks = {one: rank for rank, one in enumerate(sorted(set(seen)))}
        refined = [ranks[one] for one in seen]
        if len(ranks) in (len(sizes), len(colours)):
            return refined
        colours = refined


def _leaves(neighbours: Sequence[Sequence[tuple[str, int]]], colours: list[int]) -> Iterator[tuple[list[int], int]]:
    """Colourings that distinguish all vertices, each with the number of leaves of the search tree it stands for."""
    colours = _refined(neighbours, colours)
    if len(set(colours)) == len(colours):
        yield colours, 1
        return
    alike = next(colour for colour in range(len(colours)) if colours.count(colour) > 1)
    members = [vertex for vertex, colour in enumerate(colours) if colour == alike]
    twins = all(neighbours[vertex] == neighbours[members[0]] for vertex in members)
    for vertex in members[:1] if twins else members:
        # The others of its colour come after it.
        apart = [2 * other + (other == alike and index != vertex) for index, other in enumerate(colours)]
        for leaf, count in _leaves(neighbours, apart):
            yield leaf, count * (len(members) if twins else 1)


def _written(graph: Graph, positions: Sequence[int]) -> str:
    labels = [""] * len(positions)
    for vertex, position in enumerate(positions):
        labels[position] = graph.labels[vertex]
    edges = sorted((positions[source], positions[target], label) for (source, target), label in graph.edges.items())
    return ",".join(labels) + "|" + ",".join(f"{source}>{target}{':' * bool(x)}{x}" for source, target, x in edges)
