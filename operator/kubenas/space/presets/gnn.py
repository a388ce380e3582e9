"""The graph networks of NAS-Bench-Graph (Qin et al., NeurIPS Datasets and Benchmarks 2022, arXiv:2206.09166)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from itertools import pairwise
from typing import Final

from kubenas.space.architecture import Architecture, Value
from kubenas.space.base import Encoding, SymmetricSpace
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice
from kubenas.space.enumeration import enumerate_assignments

OPERATIONS: Final = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
# For each of four nodes the one that it reads: 0 is the network's input, 1 to 4 are the nodes.
LINKS: Final = ("0000", "0001", "0011", "0012", "0013", "0111", "0112", "0122", "0123")

_NODES: Final = tuple(f"operation.{node}" for node in range(4))
_APPLIED: Final = OPERATIONS[:-1]
_RUNS: Final = {
    run: index
    for index, run in enumerate(
        [*((one,) for one in _APPLIED), *((one, next_one) for one in _APPLIED for next_one in _APPLIED)]
    )
}

Path = tuple[str, ...]


class GNN(SymmetricSpace):
    """Four nodes, each one of 9 operations on the output of an earlier node; what no node reads is concatenated.

    Architectures have one key, as in the published tables, where they are the same tree of operations. Nodes have no
    order. A skip is left out where something follows it, where nothing else reads the same node, and between the input
    and the output. Any other skip hands a node's value to the output in addition to what follows that node. That leaves
    26,206 architectures; four skips are no network.
    """

    def __init__(self) -> None:
        links = Decision("links", Choice(LINKS))
        super().__init__([links, *(Decision(node, Choice(OPERATIONS)) for node in _NODES)], [_SomeOperation()])

    def key(self, architecture: Architecture) -> str:
        """The tree from the input on, such as `gcn(fc+out)+sage`: `out` is a skip to the output."""
        return _key(*architecture.values())

    def multiplicity(self, architecture: Architecture) -> int:
        """Number of assignments with this key."""
        return self._multiplicities[self.key(architecture)]

    @property
    def graph_encodings(self) -> Mapping[str, Encoding]:
        """`adjacency`, the one-hot of the first assignment with its key; `paths`."""
        return {"adjacency": self._adjacency, "paths": _path_counts}

    def name(self, architecture: Architecture) -> str:
        """The links and the operations, such as `0012 gcn gat fc skip`."""
        return " ".join(map(str, architecture.values()))

    def draw(self, architecture: Architecture) -> str:
        """One line a node, with what it reads."""
        links = str(architecture["links"])
        lines = ["node 0  the network's input"]
        for node, name in enumerate(_NODES):
            end = "" if str(node + 1) in links else "  -> output"
            lines.append(f"node {node + 1}  {architecture[name]}(node {links[node]}){end}")
        return "\n".join(lines)

    @cached_property
    def _multiplicities(self) -> Counter[str]:
        return Counter(self.key(architecture) for architecture in self._allowed())

    @cached_property
    def _first(self) -> dict[str, Architecture]:
        first: dict[str, Architecture] = {}
        for architecture in self._allowed():
            first.setdefault(self.key(architecture), architecture)
        return first

    def _allowed(self) -> Iterator[Architecture]:
        some_operation = _SomeOperation()
        return (
            architecture
            for architecture in enumerate_assignments(self.decisions.values())
            if some_operation(architecture)
        )

    def _adjacency(self, architecture: Architecture) -> list[float]:
        return self.one_hot(self._first.get(self.key(architecture), architecture))


def gnn() -> GNN:
    """The space of all nine tables but `proteins`, which has 5 of the operations."""
    return GNN()


class _SomeOperation:
    """At least one node that is not a skip."""

    def __call__(self, architecture: Architecture) -> bool:
        return any(architecture.get(node) != "skip" for node in _NODES)

    def __str__(self) -> str:
        return "at least one operation must not be skip"


# The operations behind each node, as (node, operation); `out` is a skip to the output.
Tree = dict[int, list[tuple[int, str]]]


@cache
def _key(*values: Value) -> str:
    """Cached, as there are only 59,049 assignments and searches need keys again and again."""
    return _expression(_tree(values), 0)


def _tree(values: Sequence[Value]) -> Tree:
    """That of the links and the operations."""
    links = [int(link) for link in str(values[0])]
    operations = [str(operation) for operation in values[1:]]
    # A skip is what it reads; links only go back.
    resolved = [0] * 5
    for node, link in enumerate(links, start=1):
        resolved[node] = resolved[link] if operations[node - 1] == "skip" else node
    tree: Tree = {}
    for node, link in enumerate(links, start=1):
        operation, source = operations[node - 1], resolved[link]
        if operation != "skip":
            tree.setdefault(source, []).append((node, operation))
        elif node not in links and source != 0:
            tree.setdefault(source, []).append((node, "out"))
    return {source: [] if [one for _, one in behind] == ["out"] else behind for source, behind in tree.items()}


def _expression(tree: Tree, source: int) -> str:
    terms = []
    for node, operation in tree.get(source, ()):
        behind = _expression(tree, node)
        terms.append(f"{operation}({behind})" if behind else operation)
    return "+".join(sorted(terms))


def _paths(tree: Tree, source: int, path: Path) -> Iterator[Path]:
    """The operations from the input to each output."""
    behind = tree.get(source)
    if not behind:
        yield path
        return
    for node, operation in behind:
        if operation == "out":
            yield path
        else:
            yield from _paths(tree, node, (*path, operation))


def _path_counts(architecture: Architecture) -> list[float]:
    """77 numbers: over the paths from the input to each output, how often each operation is met, how often each two in
    succession, and how many paths have 0 to 4 operations.
    """
    runs, lengths = [0.0] * len(_RUNS), [0.0] * 5
    for path in _paths(_tree(tuple(architecture.values())), 0, ()):
        lengths[len(path)] += 1.0
        for operation in path:
            runs[_RUNS[operation,]] += 1.0
        for pair in pairwise(path):
            runs[_RUNS[pair]] += 1.0
    return runs + lengths
