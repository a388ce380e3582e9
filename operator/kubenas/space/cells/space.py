"""Spaces of cells, built of a specification."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from random import Random
from typing import Final, TypeAlias

from kubenas.api.cell import Cell
from kubenas.space.architecture import Architecture, Value
from kubenas.space.base import Costs, Encoding, SymmetricSpace
from kubenas.space.cells.fixed import FixedWiring
from kubenas.space.cells.free import FreeWiring
from kubenas.space.cells.inputs import InputsWiring
from kubenas.space.cells.wiring import Values, Wiring
from kubenas.space.sampler import EmptySpaceError, max_listed

# Values of the architectures whose keys are kept: all 15,625 of nasbench201, about 12 MB.
KEPT: Final = 100_000

Encode: TypeAlias = Callable[[Wiring, Values], list[float]]


def build_cell_space(cell: Cell) -> CellSpace:
    """The space of a (validated) `cell`; with several cells, their names and a dot begin the names of decisions."""
    wiring: type[FixedWiring | InputsWiring | FreeWiring] = FixedWiring
    if cell.inputs is not None:
        wiring = InputsWiring
    elif cell.max_edges is not None:
        wiring = FreeWiring
    return CellSpace({name: wiring(cell, f"{name}." if name else "") for name in cell.cells or [""]})


class CellSpace(SymmetricSpace):
    """One cell, or several that are chosen independently."""

    def __init__(self, cells: Mapping[str, Wiring], costs: Costs | None = None) -> None:
        self.cells = dict(cells)
        self._keys: dict[Architecture, str] = {}
        self._own = tuple(_Connected(cell) for cell in cells.values() if isinstance(cell, FreeWiring))
        super().__init__([decision for cell in cells.values() for decision in cell.decisions], self._own, costs)

    def key(self, architecture: Architecture) -> str:
        """The keys of all cells."""
        # Canonical forms take long, and searches ask for the same ones again and again.
        key = self._keys.get(architecture)
        if key is None:
            if len(self._keys) * len(self.decisions) >= KEPT:
                self._keys.clear()
            # A dict is read faster.
            values = dict(architecture.items())
            key = self._keys[architecture] = ";".join([cell.key(values) for cell in self.cells.values()])
        return key

    def multiplicity(self, architecture: Architecture) -> int:
        """Number of assignments with this key, constraints ignored; see the wiring for its limits."""
        return prod(cell.multiplicity(architecture) for cell in self.cells.values())

    def try_sample(self, rng: Random) -> Architecture | None:
        """One draw, uniform over keys, cell by cell; None where constraints refuse it."""
        values: dict[str, Value] = {}
        for cell in self.cells.values():
            values |= cell.sample(rng)
        architecture = Architecture(values)
        return architecture if self.allows(architecture) else None

    @cached_property
    def _listed(self) -> Mapping[str, Architecture] | None:
        """The first assignment of each key; None where there are too many to list.

        Other wirings than fixed ones draw and count without a list.
        """
        fixed = all(isinstance(cell, FixedWiring) for cell in self.cells.values())
        if not fixed or self.assignments is None or self.assignments > max_listed(self.effort):
            return None
        return {self.key(architecture): architecture for architecture in super()._enumerate()}

    @cached_property
    def _drawn_from(self) -> Sequence[Architecture]:
        return tuple((self._listed or {}).values())

    def sample(self, rng: Random) -> Architecture:
        """One of the different architectures, each as likely as any other.

        Raises:
            EmptySpaceError: the constraints leave none, or none was found.
        """
        if self._drawn_from:
            return rng.choice(self._drawn_from)
        if self._listed is None:
            return super().sample(rng)
        raise EmptySpaceError("the constraints leave no architecture")

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """All that differ by one operation or edge; of a listed space each different one once, as `enumerate` has it.

        One that differs only by an operation that does not lead to the output would be trained twice.
        """
        neighbours = super().neighbours(architecture)
        if self._listed is None:
            return neighbours
        keys = dict.fromkeys(map(self.key, neighbours))
        keys.pop(self.key(architecture), None)
        return [self._listed[key] for key in keys]

    def size(self) -> int | None:
        """Number of architectures by `key`; None where it is too large to count."""
        if self._listed is not None:
            return len(self._listed)
        if self.constraints != self._own:
            return super().size()
        sizes = [cell.size() for cell in self.cells.values()]
        return None if None in sizes else prod(size for size in sizes if size is not None)

    def _enumerate(self) -> Iterator[Architecture]:
        if self._listed is not None:
            return iter(self._drawn_from)
        return super()._enumerate() if self.constraints != self._own else self._cells(list(self.cells.values()), {})

    def _cells(self, cells: Sequence[Wiring], values: dict[str, Value]) -> Iterator[Architecture]:
        if not cells:
            yield Architecture(values)
            return
        for chosen in cells[0].distinct():
            yield from self._cells(cells[1:], values | chosen)

    @property
    def graph_encodings(self) -> Mapping[str, Encoding]:
        """`adjacency` and `paths`, cell by cell."""
        return {"adjacency": self._encoded(Wiring.adjacency), "paths": self._encoded(Wiring.path_counts)}

    def name(self, architecture: Architecture) -> str:
        """What each node sums up, such as `2=conv(0)+1`; with several cells each after its name."""
        return " ".join(
            (f"{name}: " if name else "")
            + ("; ".join(f"{node}={terms.replace(' ', '')}" for node, terms in cell.lines(architecture)) or "nothing")
            for name, cell in self.cells.items()
        )

    def draw(self, architecture: Architecture) -> str:
        """One line a node, with what it sums up; what carries nothing or leads nowhere is left out."""
        lines: list[str] = []
        for name, cell in self.cells.items():
            nodes = [f"{node} = {terms}" for node, terms in cell.lines(architecture)] or ["nothing reaches the output"]
            lines += [f"{name}:", *(f"  {node}" for node in nodes)] if name else nodes
        return "\n".join(lines)

    def _encoded(self, encode: Encode) -> Encoding:
        cells = tuple(self.cells.values())

        def encoded(architecture: Architecture) -> list[float]:
            values = dict(architecture.items())
            row: list[float] = []
            for cell in cells:
                row += encode(cell, values)
            return row

        return encoded


class _Connected:
    """The constraint that the edges of a cell connect its nodes."""

    def __init__(self, cell: FreeWiring) -> None:
        self._cell = cell

    def __call__(self, architecture: Architecture) -> bool:
        return self._cell.allows(architecture)

    def __str__(self) -> str:
        return str(self._cell)
