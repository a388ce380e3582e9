"""Costs that are sums over decisions, and limits on costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from kubenas.api.costs import CostTable as TableSpec
from kubenas.api.costs import CostTerm
from kubenas.api.errors import SpecError, refuse
from kubenas.space.domains import Choice, Int
from kubenas.space.reading import by_layer, layers_of

if TYPE_CHECKING:
    from kubenas.space.base import Architecture, Value
    from kubenas.space.decisions import Decision, DecisionSpace


@dataclass(frozen=True)
class CostTable:
    """A cost by decision and value; what is switched off costs nothing.

    Attributes:
        spec: as it was written.
        added: what each value of a decision adds, by the decision's name.
    """

    spec: TableSpec
    added: Mapping[str, Mapping[Value, float]]

    def __call__(self, architecture: Architecture) -> float:
        """The cost, summed in the order of the decisions, so that it is always the same to the last bit."""
        return self.spec.base + sum(
            self.added[name][value] for name, value in architecture.items() if name in self.added
        )


@dataclass(frozen=True)
class CostLimit:
    """A constraint on a cost, in CEL as it would be written.

    Attributes:
        upper: whether the cost must be at most the limit, or at least.
    """

    space: DecisionSpace
    cost: str
    limit: float
    upper: bool

    def __call__(self, architecture: Architecture) -> bool:
        """Whether it is kept."""
        return self.violation(architecture) == 0.0

    def violation(self, architecture: Architecture) -> float:
        """How far the cost is beyond the limit, in the cost's unit."""
        excess = self.space.costs(architecture)[self.cost] - self.limit
        return max(0.0, excess if self.upper else -excess)

    def __str__(self) -> str:
        return f"{self.cost} {'<=' if self.upper else '>='} {self.limit!r}"


def read_tables(specs: Sequence[TableSpec], space: DecisionSpace) -> list[CostTable]:
    """The tables of (validated) `specs`, in order of their names, as a list of keys has no order.

    Raises:
        SpecError: on the fields below `costs` that name what there is not, or lack a value.
    """
    decisions = space.decisions
    taken = {*space.costs(space.complete({}, Random(0))), "architecture"}
    names = {*decisions, *by_layer(dict.fromkeys(decisions))}
    tables: list[CostTable] = []
    problems: list[SpecError] = []
    for place, spec in enumerate(specs):
        field = f"costs[{place}]"
        if spec.name in taken:
            problems.append(SpecError(f"{field}.name", f"the space has {spec.name} of its own: take another name"))
        if spec.name in names:
            problems.append(SpecError(f"{field}.name", f"{spec.name} is a decision: take another name"))
        try:
            tables.append(CostTable(spec, _added(spec, decisions)))
        except SpecError as error:
            problems.append(error.within(field))
    refuse(problems)
    return sorted(tables, key=lambda table: table.spec.name)


def _added(spec: TableSpec, decisions: Mapping[str, Decision]) -> dict[str, dict[Value, float]]:
    added: dict[str, dict[Value, float]] = {}
    problems: list[SpecError] = []
    for place, term in enumerate(spec.terms):
        found = [decisions[term.parameter]] if term.parameter in decisions else layers_of(term.parameter, decisions)
        field = f"terms[{place}]"
        if not found:
            missing = f"{term.parameter} is no decision: there are {_some(decisions)}"
            problems.append(SpecError(f"{field}.parameter", missing))
        for decision in found:
            if decision.name in added:
                twice = f"{decision.name} has a term already: each takes one"
                problems.append(SpecError(f"{field}.parameter", twice))
                break
            try:
                added[decision.name] = _values(term, decision)
            except SpecError as error:
                # Layers are alike: what is wrong with one is wrong with all.
                problems.append(error.within(field))
                break
    refuse(problems)
    return added


def _values(term: CostTerm, decision: Decision) -> dict[Value, float]:
    domain = decision.domain
    if not isinstance(domain, Choice | Int):
        raise SpecError("parameter", f"{decision.name} is a float: only decisions with values to list can have costs")
    found: dict[Value, float] = {}
    problems: list[SpecError] = []
    for place, one in enumerate(term.values):
        field = f"values[{place}].{'value' if one.number is None else 'number'}"
        try:
            value = domain.parse(one.value if one.number is None else one.number)
        except ValueError as error:
            problems.append(SpecError(field, f"{decision.name}: {error}"))
            continue
        if value in found:
            problems.append(SpecError(field, f"{value!r} is there twice: each value takes one cost"))
        found[value] = one.add
    # Else what is missing may be what is misspelt.
    if not problems and (missing := _missing(domain, found)):
        problems.append(
            SpecError("values", f"lacks {missing} of {decision.name}: give what each value adds, if only 0")
        )
    refuse(problems)
    return found


def _missing(domain: Choice | Int, found: Mapping[Value, float]) -> str:
    if domain.size() == len(found):
        return ""
    return _some(domain.at(place) for place in range(domain.size()) if domain.at(place) not in found)


def _some(names: Iterable[object]) -> str:
    listed = [str(name) for name, _ in zip(names, range(13), strict=False)]
    return ", ".join(listed[:12]) + (" and more" if len(listed) > 12 else "")
