"""What an architecture is."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import TypeAlias

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

    def keys(self) -> KeysView[str]:
        """The decisions' names; this and the next two as `Mapping` has them, but at the speed of a dict."""
        return self._decisions.keys()

    def values(self) -> ValuesView[Value]:
        """The decisions' values."""
        return self._decisions.values()

    def items(self) -> ItemsView[str, Value]:
        """Names with values."""
        return self._decisions.items()

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
    """A document is no architecture of the space; the message says which decision is wrong and why."""
