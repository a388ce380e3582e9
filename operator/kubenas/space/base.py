"""Search spaces: draws, mutations, keys, encodings, text."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from inspect import getmembers_static
from random import Random
from typing import Any, ClassVar, Final, Self, TypeAlias

from kubenas.space import deadline
from kubenas.space.architecture import Architecture, InvalidArchitectureError, Value
from kubenas.space.constraint import Constraint, effort, violation
from kubenas.space.cost_table import CostTable
from kubenas.space.decisions import Decision
from kubenas.space.enumeration import enumerate_assignments
from kubenas.space.parsing import parse_decisions
from kubenas.space.sampler import Sampler, max_listed
from kubenas.space.subtree_counts import SubtreeCounts
from kubenas.space.text import draw_decisions, format_decisions

# What is imported from outside of this package.
__all__ = ["Architecture", "InvalidArchitectureError", "Space", "SymmetricSpace", "Value"]

Costs: TypeAlias = Callable[[Architecture], dict[str, float]]
Encoding: TypeAlias = Callable[[Architecture], list[float]]

# Mutations or children that constraints may refuse before no more are tried.
TRIES: Final = 100


class Space:
    """A set of architectures to search in: all assignments of values to decisions that constraints allow.

    An architecture has exactly the decisions that are switched on. Decisions that others switch on form trees; the
    number of assignments in each subtree is known, so that draws are uniform over architectures, not over values. All
    draws come from the given `random.Random`, so that a seed repeats them.

    A space is immutable: `with_constraints` and `with_costs` give others. A space in which different architectures can
    compute the same is a `SymmetricSpace`.

    Args:
        decisions: what makes an architecture.
        constraints: what every architecture must satisfy.
        costs: gives the costs, by name, that follow from an architecture by arithmetic; the same names for each.
    """

    # Whether different architectures can have one key.
    symmetric: ClassVar[bool] = False

    def __init__(
        self, decisions: Sequence[Decision], constraints: Sequence[Constraint] = (), costs: Costs | None = None
    ) -> None:
        self.decisions = {decision.name: decision for decision in decisions}
        self.constraints = tuple(constraints)
        self.tables: tuple[CostTable, ...] = ()
        self._own_costs = costs
        self._subtrees = SubtreeCounts(decisions)

    def with_constraints(self, constraints: Sequence[Constraint]) -> Self:
        """The same space with further constraints."""
        return self._with("constraints", (*self.constraints, *constraints))

    def with_costs(self, tables: Sequence[CostTable]) -> Self:
        """The same space with the costs of tables in addition to its own."""
        return self._with("tables", tuple(tables))

    def _with(self, attribute: str, value: object) -> Self:
        copied = copy(self)
        setattr(copied, attribute, value)
        for name, member in getmembers_static(type(self)):
            if isinstance(member, cached_property):
                vars(copied).pop(name, None)
        return copied

    def next_decision(self, decided: Mapping[str, Value]) -> Decision | None:
        """The first decision that is switched on but not yet taken; None where all are."""
        return next((d for d in self.decisions.values() if d.name not in decided and d.is_active(decided)), None)

    def active(self, architecture: Mapping[str, Value]) -> Iterator[Decision]:
        """The decisions that are switched on, in the space's order."""
        return (d for d in self.decisions.values() if d.is_active(architecture))

    def allows(self, architecture: Architecture) -> bool:
        """Whether every constraint holds."""
        deadline.check()
        return all(constraint(architecture) for constraint in self.constraints)

    def complete(self, decided: Mapping[str, Value], rng: Random) -> Architecture:
        """An architecture with the decided values where they are switched on, the rest drawn, constraints ignored."""
        values: dict[str, Value] = {}
        for decision in self.decisions.values():
            if decision.is_active(values):
                name = decision.name
                values[name] = decided[name] if name in decided else self._subtrees.draw(decision, rng)
        return Architecture(values)

    @cached_property
    def effort(self) -> int:
        """Time to draw and to check one architecture, in units of one decision."""
        return len(self.decisions) + effort(self.constraints)

    def violation(self, architecture: Architecture) -> float:
        """By how much constraints are violated; 0 where all hold."""
        deadline.check()
        return violation(self.constraints, architecture)

    def sample(self, rng: Random) -> Architecture:
        """One architecture, each as likely as any other by `key`; numbers are even on their scale.

        Not uniform where a draw hardly ever satisfies the constraints and there are too many assignments to list: see
        `Sampler`.

        Raises:
            EmptySpaceError: the constraints leave none, or none was found.
        """
        return self._sampler.sample(rng)

    @cached_property
    def _sampler(self) -> Sampler:
        return Sampler(self)

    def try_sample(self, rng: Random) -> Architecture | None:
        """One draw by rejection; None where constraints refuse it, or, by chance, as other assignments have its key."""
        architecture = self.complete({}, rng)
        if self.allows(architecture) and (not self.symmetric or rng.random() * self.multiplicity(architecture) < 1.0):
            return architecture
        return None

    def multiplicity(self, architecture: Architecture) -> int:  # noqa: ARG002 - for subclasses
        """Number of allowed assignments with the key of this one."""
        return 1

    def mutate(self, architecture: Architecture, rng: Random) -> Architecture:
        """A copy with one decision changed; what that switches on is drawn, what it switches off is gone.

        The same architecture where there is no other. Its key may be that of `architecture`, where the two compute
        the same.
        """
        for _ in range(TRIES):
            mutated = self.mutate_unconstrained(architecture, rng)
            if mutated != architecture and self.allows(mutated):
                return mutated
        return architecture

    def mutate_unconstrained(self, architecture: Architecture, rng: Random) -> Architecture:
        """`mutate` without regard to constraints."""
        mutable = [d for d in self.active(architecture) if d.domain.size() != 1]
        if not mutable:
            return architecture
        decision = rng.choice(mutable)
        value = decision.domain.mutate(architecture[decision.name], rng)
        return self.complete({**architecture, decision.name: value}, rng)

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """All that differ by one step of one decision; what that switches on is drawn, the same whenever asked."""
        found: dict[Architecture, None] = {}
        key = self.key(architecture)
        for decision in self.active(architecture):
            for value in decision.domain.neighbours(architecture[decision.name]):
                rng = Random(f"{key}/{decision.name}/{value}")
                neighbour = self.complete({**architecture, decision.name: value}, rng)
                if neighbour != architecture and self.allows(neighbour):
                    found.setdefault(neighbour)
        return list(found)

    def crossover(self, first: Architecture, second: Architecture, rng: Random) -> Architecture:
        """A child with each decision from a parent that has it; `first` where constraints refuse all tries."""
        for _ in range(TRIES):
            values: dict[str, Value] = {}
            for decision in self.decisions.values():
                if decision.is_active(values):
                    name = decision.name
                    having = [parent[name] for parent in (first, second) if name in parent]
                    values[name] = rng.choice(having) if having else self._subtrees.draw(decision, rng)
            child = Architecture(values)
            if self.allows(child):
                return child
        return first

    @cached_property
    def assignments(self) -> int | None:
        """Number of assignments, without regard to constraints and equal keys; None where it is unbounded."""
        if any(d.domain.size() is None for d in self.decisions.values()):
            return None
        return self._subtrees.total

    def size(self) -> int | None:
        """Number of architectures by `key`; None where it is unbounded or too large to count."""
        return self._size

    @cached_property
    def _size(self) -> int | None:
        total = self.assignments
        if total is None or not (self.symmetric or self.constraints):
            return total
        return sum(1 for _ in self.enumerate()) if total <= max_listed(self.effort) else None

    def enumerate(self) -> Iterator[Architecture]:
        """Each architecture once by `key`, the last decision changing fastest.

        Raises:
            ValueError: the space is unbounded.
        """
        if self.assignments is None:
            unbounded = next(d.name for d in self.decisions.values() if d.domain.size() is None)
            raise ValueError(f"the space cannot be enumerated: {unbounded} has any number of values")
        return self._enumerate()

    def _enumerate(self) -> Iterator[Architecture]:
        keys: set[str] = set()
        for architecture in enumerate_assignments(self.decisions.values()):
            if not self.allows(architecture):
                continue
            if self.symmetric:
                key = self.key(architecture)
                if key in keys:
                    continue
                keys.add(key)
            yield architecture

    def key(self, architecture: Architecture) -> str:
        """Canonical key: equal for architectures that compute the same.

        Here the decisions as a JSON array, null for those that are switched off.
        """
        return json.dumps([architecture.get(name) for name in self.decisions], separators=(",", ":"))

    def parse(self, document: Any) -> Architecture:
        """The architecture in an object of decisions.

        Raises:
            InvalidArchitectureError: a decision is missing, unknown, not switched on, or has a value outside its
                domain; or a constraint does not hold.
        """
        architecture = parse_decisions(document, self.decisions)
        for constraint in self.constraints:
            if not constraint(architecture):
                raise InvalidArchitectureError(f"{self.name(architecture)} breaks the constraint {constraint}")
        return architecture

    def name(self, architecture: Architecture) -> str:
        """The architecture in one readable line, in the field's own notation where there is one.

        Here the decisions as `name=value`, numbers to six digits; those of layers as `name=value,value`.
        """
        return format_decisions(architecture)

    def draw(self, architecture: Architecture) -> str:
        """The architecture drawn in text, a few lines, for a terminal.

        Here one line a decision: its name, its value and the values it could have.
        """
        return draw_decisions(architecture, self.decisions)

    @property
    def encodings(self) -> Mapping[str, Encoding]:
        """Functions from an architecture to a row of numbers, by name; all rows of one encoding have the same length.

        `one-hot`: every decision as numbers from 0 to 1, zeros where it is switched off; then those of a graph, then
        `costs` where there are any.
        """
        encodings = {"one-hot": self.one_hot, **self.graph_encodings}
        if self.tables or self._own_costs is not None:
            encodings["costs"] = lambda architecture: list(self.costs(architecture).values())
        return encodings

    @property
    def graph_encodings(self) -> Mapping[str, Encoding]:
        """Further encodings, of architectures that are graphs."""
        return {}

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """What follows from the architecture by arithmetic, such as `params`: the space's own costs, then tables'."""
        own = {} if self._own_costs is None else self._own_costs(architecture)
        return own | {table.spec.name: table(architecture) for table in self.tables}

    def one_hot(self, architecture: Architecture) -> list[float]:
        """Every decision as numbers in [0, 1]: choices one-hot, ordered values by their index, zeros where off."""
        encoded: list[float] = []
        for decision in self.decisions.values():
            width = decision.domain.width + (decision.when is not None)
            if decision.name not in architecture:
                encoded += [0.0] * width
                continue
            encoded += decision.domain.encode(architecture[decision.name])
            if decision.when is not None:
                encoded.append(1.0)
        return encoded


class SymmetricSpace(Space, ABC):
    """A space in which different architectures can compute the same."""

    symmetric = True

    @abstractmethod
    def key(self, architecture: Architecture) -> str:
        """Canonical key: equal for architectures that compute the same."""

    @abstractmethod
    def multiplicity(self, architecture: Architecture) -> int:
        """Number of assignments with the key of this one."""
