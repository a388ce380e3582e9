"""Cost tables as users write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random

from kubenas.api.costs import CostTable as TableSpec
from kubenas.api.costs import CostTerm
from kubenas.api.errors import SpecError, refuse
from kubenas.space.architecture import Value
from kubenas.space.base import Space
from kubenas.space.cost_table import CostTable
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice, Int
from kubenas.space.layers import by_layer, layers_of


def read_tables(specs: Sequence[TableSpec], space: Space) -> list[CostTable]:
    """The tables of (validated) `specs`, in order of their names, as a list of keys has no order.

    Raises:
        SpecError: on the fields below `costs` that name what there is not, or lack a value.
    """
    decisions = space.decisions
    taken = {*space.costs(space.complete({}, Random(0))), "architecture"}
    names = {*decisions, *by_layer(dict.fromkeys(decisions))}
    tables: list[CostTable] = []
    problems: list[SpecError] = []
    for index, spec in enumerate(specs):
        field = f"costs[{index}]"
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
    for index, term in enumerate(spec.terms):
        found = [decisions[term.parameter]] if term.parameter in decisions else layers_of(term.parameter, decisions)
        field = f"terms[{index}]"
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
    for index, one in enumerate(term.values):
        field = f"values[{index}].{'value' if one.number is None else 'number'}"
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
    return _some(domain.at(index) for index in range(domain.size()) if domain.at(index) not in found)


def _some(names: Iterable[object]) -> str:
    listed = [str(name) for name, _ in zip(names, range(13), strict=False)]
    return ", ".join(listed[:12]) + (" and more" if len(listed) > 12 else "")
