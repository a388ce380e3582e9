"""What every search space gives, and what an architecture is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, TypeAlias

Value: TypeAlias = str | int | float


class Architecture(Mapping[str, Value]):
    """One architecture: an immutable, hashable mapping from decision to value, in the space's order."""

    __slots__ = ("_decisions", "_hash")

    def __init__(self, decisions: Mapping[str, Value]) -> None:
        self._decisions = dict(decisions)
        self._hash = hash(tuple(sorted(self._decisions.items())))

    def __getitem__(self, decision: str) -> Value:
        return self._decisions[decision]

    def __iter__(self) -> Iterator[str]:
        return iter(self._decisions)

    def __len__(self) -> int:
        return len(self._decisions)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self._hash == other._hash and self._decisions == other._decisions

    def __repr__(self) -> str:
        return f"Architecture({self._decisions!r})"

    def with_decision(self, decision: str, value: Value) -> Architecture:
        """The same architecture but for one decision."""
        return Architecture({**self._decisions, decision: value})

    def to_json(self) -> dict[str, Value]:
        """The JSON object that resources and trials carry."""
        return dict(self._decisions)


class InvalidArchitectureError(ValueError):
    """What was read as an architecture is none of this space; says which decision and why."""


class Space(ABC):
    """A set of architectures to search in.

    All draws come from the given `random.Random`, so that a seed repeats them.
    """

    @abstractmethod
    def sample(self, rng: Random) -> Architecture:
        """One architecture, each as likely as any other by `key`; numbers are even on their scale."""

    @abstractmethod
    def mutate(self, architecture: Architecture, rng: Random) -> Architecture:
        """A copy with one decision changed, and what that switches on or off; the same one where there is no other.

        Its key may be that of `architecture`, where the two compute the same.
        """

    @abstractmethod
    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Those one step away, the same ones whenever asked."""

    @abstractmethod
    def crossover(self, first: Architecture, second: Architecture, rng: Random) -> Architecture:
        """A child with each decision from one of its parents."""

    @abstractmethod
    def size(self) -> int | None:
        """Number of architectures by `key`; None where it is unbounded or too large to count."""

    @abstractmethod
    def enumerate(self) -> Iterator[Architecture]:
        """Each architecture once by `key`.

        Raises:
            ValueError: the space is unbounded.
        """

    @property
    @abstractmethod
    def encodings(self) -> Mapping[str, Callable[[Architecture], list[float]]]:
        """How architectures can be written as numbers, by name: `one-hot` always, `paths`, `adjacency`, `costs` …

        Each gives as many numbers for every architecture of the space.
        """

    @abstractmethod
    def costs(self, architecture: Architecture) -> dict[str, float]:
        """What follows from the architecture by arithmetic, such as `params` or `flops`; empty where unknown."""

    @abstractmethod
    def key(self, architecture: Architecture) -> str:
        """Canonical key: equal for architectures that compute the same."""

    @abstractmethod
    def parse(self, document: Any) -> Architecture:
        """The architecture in a JSON document.

        Raises:
            InvalidArchitectureError: it is none of this space.
        """

    @abstractmethod
    def name(self, architecture: Architecture) -> str:
        """The architecture in one readable line, in the field's own notation where there is one."""

    @abstractmethod
    def draw(self, architecture: Architecture) -> str:
        """The architecture drawn in text, a few lines, for a terminal."""
