"""The cell space of NAS-Bench-201 (Dong & Yang, ICLR 2020, arXiv:2001.00326)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property
from itertools import permutations, product
from operator import itemgetter
from random import Random
from typing import Any, Final

from kubenas.space.architecture import Architecture, InvalidArchitectureError
from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice
from kubenas.space.presets.nasbench201_encodings import EDGES, OPERATIONS, adjacency, costs, path_counts
from kubenas.space.sampler import EmptySpaceError

WEIGHTED: Final = frozenset({"nor_conv_1x1", "nor_conv_3x3"})

# An edge is (source, target): node 0 is the cell's input, node 3 its output, each the sum of what comes in.
DECISIONS: Final = tuple(f"{source}-{target}" for source, target in EDGES)
OUTPUT: Final = 3

# Number of keys over all 15,625 strings; a test counts them.
_UNIQUE_CELLS: Final = 5260

_NODES_IN_STRING: Final = tuple(tuple(f"{source}-{target}" for source in range(target)) for target in (1, 2, 3))
_STRING = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")
_operations = itemgetter(*DECISIONS)

Operations = tuple[str, str, str, str, str, str]
Edge = tuple[int, int]


class NASBench201(Space):
    """Cells of 4 nodes, with one of 5 operations on each of the 6 edges between them.

    There are 15,625 strings but fewer different cells. `key` tells apart what computes different functions: `none`
    is no edge, what gets no input gives none, a skip is its source, sums have no order, and what does not reach the
    output does not count; two convolutions are never one, since each has its own weights. That leaves 5,260 cells.
    The paper's 6,466 come from the same rules, save that a `none` stays a term of its sum and that equal
    expressions are one even where one shares a convolution that the other has twice; without the rule for `none`
    the paper's count is 12,751.
    """

    def __init__(self) -> None:
        super().__init__([Decision(decision, Choice(OPERATIONS)) for decision in DECISIONS])

    def sample(self, rng: Random) -> Architecture:
        """One of the different cells, each as likely as any other."""
        if not self._cells:
            raise EmptySpaceError("no cell is within the constraints")
        return rng.choice(self._cells)

    def size(self) -> int:
        """Number of different cells: 5,260 without constraints."""
        return len(self._cells) if self.constraints else _UNIQUE_CELLS

    def enumerate(self) -> Iterator[Architecture]:
        """Each cell once by `key`."""
        return iter(self._cells)

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """The different cells one step away, each as `enumerate` has it: what leads nowhere is nobody's to train."""
        keys = dict.fromkeys(self.key(neighbour) for neighbour in super().neighbours(architecture))
        keys.pop(self.key(architecture), None)
        return [self._forms[key] for key in keys]

    @cached_property
    def _forms(self) -> Mapping[str, Architecture]:
        return {self.key(cell): cell for cell in self._enumerate()} if self.constraints else _unique_cells()

    @cached_property
    def _cells(self) -> tuple[Architecture, ...]:
        return tuple(self._forms.values())

    @property
    def encodings(self) -> Mapping[str, Callable[[Architecture], list[float]]]:
        """`one-hot`, `adjacency` (30 numbers), `paths` (40) and `costs` (`params`, `flops`)."""
        return {
            **super().encodings,
            "adjacency": lambda architecture: adjacency(_operations(architecture)),
            "paths": lambda architecture: path_counts(_operations(architecture)),
            "costs": lambda architecture: list(self.costs(architecture).values()),
        }

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """`params` and `flops` (multiply-adds) of the benchmark's CIFAR-10 network."""
        return costs(_operations(architecture)) | super().costs(architecture)

    def key(self, architecture: Architecture) -> str:
        """The function that the cell computes, for example `in+nor_conv_3x3(in)`; `0` where nothing reaches its end.

        A number after an operation tells apart convolutions that apply to the same input.
        """
        return _expression(_operations(architecture))

    def parse(self, document: Any) -> Architecture:
        """The architecture in an object of edges, or in the benchmark's string.

        Raises:
            InvalidArchitectureError: it is neither, or names an unknown edge or operation.
        """
        if isinstance(document, str):
            document = _read_string(document)
        if not isinstance(document, Mapping):
            raise InvalidArchitectureError(
                f"a cell is an object of the edges {', '.join(DECISIONS)}, not {document!r:.80}"
            )
        if unknown := [decision for decision in document if decision not in DECISIONS]:
            raise InvalidArchitectureError(f"{unknown[0]!r:.80} is no edge: the edges are {', '.join(DECISIONS)}")
        for decision in DECISIONS:
            if decision not in document:
                raise InvalidArchitectureError(f"edge {decision} is missing")
            if document[decision] not in OPERATIONS:
                raise InvalidArchitectureError(
                    f"edge {decision}: {document[decision]!r:.80} is no operation: choose of {', '.join(OPERATIONS)}"
                )
        return super().parse(document)

    def name(self, architecture: Architecture) -> str:
        """The benchmark's string, such as `|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|`."""
        return "+".join(
            "|" + "|".join(f"{architecture[decision]}~{source}" for source, decision in enumerate(node)) + "|"
            for node in _NODES_IN_STRING
        )

    def draw(self, architecture: Architecture) -> str:
        """One line a node, with what it sums up; edges that carry nothing are left out."""
        lines = ["node 0  the cell's input"]
        reached = {0}
        for target, node in enumerate(_NODES_IN_STRING, start=1):
            terms = [
                f"node {source}" if operation == "skip_connect" else f"{operation}(node {source})"
                for source, decision in enumerate(node)
                if (operation := architecture[decision]) != "none" and source in reached
            ]
            if terms:
                reached.add(target)
            lines.append(f"node {target}  " + (" + ".join(terms) or "nothing"))
        lines[-1] += "  -> the cell's output"
        return "\n".join(lines)


def nasbench201() -> NASBench201:
    """The space."""
    return NASBench201()


def _architecture(operations: list[str]) -> Architecture:
    return Architecture(dict(zip(DECISIONS, operations, strict=True)))


def _read_string(text: str) -> dict[str, str]:
    match = _STRING.fullmatch(text)
    if match is None:
        raise InvalidArchitectureError(f"{text!r:.120} is no cell: write |op~0|+|op~0|op~1|+|op~0|op~1|op~2|")
    return dict(zip((decision for node in _NODES_IN_STRING for decision in node), match.groups(), strict=True))


@cache
def _unique_cells() -> Mapping[str, Architecture]:
    cells: dict[str, Architecture] = {}
    for operations in product(OPERATIONS, repeat=len(EDGES)):
        cells.setdefault(_expression(operations), _architecture(list(operations)))
    return cells


@cache
def _expression(operations: Operations) -> str:
    """The output as an expression of the input, the least by alphabet of all ways to number the convolutions."""
    plain, applied = _evaluate(operations, {})
    live = _nodes_to_output(operations)
    alike: dict[str, list[Edge]] = {}
    for edge, term in applied.items():
        if edge[1] in live and operations[EDGES.index(edge)] in WEIGHTED:
            alike.setdefault(term, []).append(edge)
    # Only convolutions of one kind on one expression can be confused: an expression names all others.
    groups = [edges for edges in alike.values() if len(edges) > 1]
    if not groups:
        return plain
    numberings = product(*(permutations(range(1, len(edges) + 1)) for edges in groups))
    return min(
        _evaluate(
            operations,
            {
                edge: number
                for edges, numbers in zip(groups, numbering, strict=True)
                for edge, number in zip(edges, numbers, strict=True)
            },
        )[0]
        for numbering in numberings
    )


def _evaluate(operations: Operations, numbers: Mapping[Edge, int]) -> tuple[str, dict[Edge, str]]:
    """The output's expression, and the term of each edge that applies an operation to something."""
    sums: list[list[str]] = [["in"], [], [], []]
    applied: dict[Edge, str] = {}
    # By target, so that a node's sum is complete before it is a source.
    for edge in sorted(EDGES, key=itemgetter(1)):
        source, target = edge
        operation = operations[EDGES.index(edge)]
        if operation == "none" or not sums[source]:
            continue
        if operation == "skip_connect":
            sums[target] += sums[source]
        else:
            number = f".{numbers[edge]}" if edge in numbers else ""
            applied[edge] = f"{operation}{number}({'+'.join(sorted(sums[source]))})"
            sums[target].append(applied[edge])
    return "+".join(sorted(sums[OUTPUT])) or "0", applied


def _nodes_to_output(operations: Operations) -> set[int]:
    live = {OUTPUT}
    for source, target in sorted(EDGES, reverse=True):
        if target in live and operations[EDGES.index((source, target))] != "none":
            live.add(source)
    return live
