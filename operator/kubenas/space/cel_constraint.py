"""Constraints in CEL, the Common Expression Language (https://cel.dev)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from random import Random
from typing import Any, Final

from kubenas.api.errors import SpecError, refuse
from kubenas.space.architecture import Architecture, Value
from kubenas.space.base import Space
from kubenas.space.cel_conjuncts import FARTHEST, Conjunct, conjuncts
from kubenas.space.cel_cost import MAX_COST, Bound, UnreadableError, check_cost, list_bound, text_bound
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice
from kubenas.space.layers import by_layer
from kubenas.space.sampler import EmptySpaceError

# Architectures that each constraint is evaluated on, and draws that find a constraint which none satisfies.
EVALUATED: Final = 64
DRAWN: Final = 2_000

# Steps of an evaluation that take as long as a decision.
STEPS: Final = 20

# What the CEL library raises where an expression cannot be evaluated.
_FAILURES: Final = (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError)

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BOUND: Final = re.compile(r"\.\s*(?:all|exists|exists_one|filter|map)\s*\(\s*([A-Za-z_]\w*)\s*,")


class CelConstraint:
    """Whether an architecture satisfies a CEL expression; one that cannot be evaluated is not satisfied.

    Decisions are variables, null where they are switched off; those named `NAME.0`, `NAME.1` … are the list `NAME` of
    what is switched on; `architecture` is a map of them all; analytic costs are variables too.

    Raises:
        SpecError: the expression is no CEL, names something that there is not, or may take too long.
    """

    def __init__(self, expression: str, space: Space) -> None:
        import cel  # noqa: PLC0415 - takes most of a second, and few spaces have constraints

        self._space = space
        self._parts: dict[str, Any] = {}
        costs = space.costs(space.complete({}, Random(0)))
        repeated = by_layer({decision: decision for decision in space.decisions})
        self._layers = {name: [str(layer) for layer in layers] for name, layers in repeated.items()}
        known = _bounds(space, self._layers) | dict.fromkeys(costs, Bound())
        try:
            # Before the library sees it.
            self.cost = check_cost(expression, known)
            readable = True
        except UnreadableError:
            readable = False
        try:
            self._program = cel.compile(expression)
        except ValueError as error:
            raise SpecError("", f"is no CEL expression: {_reason(error)}") from None
        if not readable:
            raise SpecError("", "is CEL that constraints do not have: use plain texts, numbers, lists and operators")
        used = set(self._program.variables())
        self._uses_costs = bool(used & set(costs))
        bound = set(_BOUND.findall(expression))
        if unknown := sorted(used - set(known) - bound):
            raise SpecError("", f"{unknown[0]} is no decision: there are {_listed(sorted(known))}")
        # Only the variables that are used are set: a space can have a thousand decisions.
        self._used = used & set(known) - set(costs)

    def __call__(self, architecture: Architecture) -> bool:
        """Whether it is satisfied."""
        try:
            return self.evaluate(architecture) is True
        except _FAILURES:
            return False

    def __str__(self) -> str:
        return str(self._program.source)

    @property
    def effort(self) -> int:
        """How long it takes to evaluate at most, in units of one decision."""
        return 1 + self.cost // STEPS

    def evaluate(self, architecture: Architecture) -> object:
        """The value of the expression; raises what the CEL library raises."""
        return self._program.execute(self._variables(architecture))

    def violation(self, architecture: Architecture) -> float:
        """0 where it is satisfied, else 1 to 2 for each operand of `&&` that is not, less the nearer it is to that."""
        if self(architecture):
            return 0.0
        variables = self._variables(architecture)

        def evaluate(part: str) -> object:
            try:
                return self._part(part).execute(variables)
            except _FAILURES:
                return None

        violated = [one for one in self._conjuncts if evaluate(one.expression) is not True]
        return sum(one.gap(evaluate) for one in violated) or FARTHEST

    @cached_property
    def _conjuncts(self) -> list[Conjunct]:
        return conjuncts(str(self))

    def _part(self, expression: str) -> Any:
        if expression not in self._parts:
            import cel  # noqa: PLC0415 - as above

            self._parts[expression] = cel.compile(expression)
        return self._parts[expression]

    def _variables(self, architecture: Architecture) -> dict[str, object]:
        context: dict[str, object] = dict(self._space.costs(architecture)) if self._uses_costs else {}
        for name in self._used:
            if name == "architecture":
                decided = {decision: architecture.get(decision) for decision in self._space.decisions}
                context[name] = decided | {layered: self._values(layered, architecture) for layered in self._layers}
            elif name in self._layers:
                context[name] = self._values(name, architecture)
            else:
                context[name] = architecture.get(name)
        return context

    def _values(self, name: str, architecture: Architecture) -> list[Value]:
        return [architecture[layer] for layer in self._layers[name] if layer in architecture]


def _bounds(space: Space, layers: dict[str, list[str]]) -> dict[str, Bound]:
    """The largest size of each variable."""
    single = {name: _largest(decision) for name, decision in space.decisions.items()}
    found = single | {name: list_bound([single[layer] for layer in layered]) for name, layered in layers.items()}
    entries = [Bound(text_bound(name).size + one.size) for name, one in found.items()]
    named = {name: one for name, one in found.items() if _IDENTIFIER.fullmatch(name)}
    return named | {"architecture": list_bound(entries)}


def _largest(decision: Decision) -> Bound:
    domain = decision.domain
    if not isinstance(domain, Choice):
        return Bound()
    return max((text_bound(str(value)) for value in domain.values), key=lambda bound: bound.size)


def compile_constraints(expressions: Sequence[str], space: Space) -> list[CelConstraint]:
    """The constraints of `space`, compiled once.

    Raises:
        SpecError: on each of `constraints[i]` that is no CEL, names something that there is not, or may take too long.
    """
    compiled: list[CelConstraint] = []
    problems: list[SpecError] = []
    for index, expression in enumerate(expressions):
        try:
            compiled.append(CelConstraint(expression, space))
        except SpecError as error:
            problems.append(error.within(f"constraints[{index}]"))
            continue
        if (cost := sum(one.cost for one in compiled)) > MAX_COST:
            message = f"may take {cost:,} steps with those before it, but {MAX_COST:,} are allowed: leave one out"
            problems.append(SpecError(f"constraints[{index}]", message))
            break
    refuse(problems)
    return compiled


def check_constraints(space: Space, at: Callable[[str], None] = lambda _: None) -> None:
    """Check with bounded work that constraints can be evaluated, are true or false, and leave an architecture.

    Args:
        space: of the constraints.
        at: called with the field below `searchSpace` that is validated next.

    Raises:
        SpecError: on `constraints[i]`, or on the whole space where only all of them together leave nothing.
    """
    written = [constraint for constraint in space.constraints if isinstance(constraint, CelConstraint)]
    rng = Random(0)
    drawn = [space.complete({}, rng) for _ in range(EVALUATED)]
    for index, constraint in enumerate(written):
        at(f"constraints[{index}]")
        for architecture in drawn:
            _check(constraint, index, architecture)
    at("constraints")
    try:
        space.sample(Random(0))
    except EmptySpaceError:
        unsatisfied = next((index for index, one in enumerate(written) if not _satisfiable(space, one)), None)
    else:
        return
    field = "" if unsatisfied is None else f"constraints[{unsatisfied}]"
    subject = "the constraints together leave" if unsatisfied is None else "leaves"
    raise SpecError(field, f"{subject} no architecture, or too few to find")


def _satisfiable(space: Space, constraint: CelConstraint) -> bool:
    """Whether any of some draws satisfies one constraint."""
    rng = Random(0)
    return any(constraint(space.complete({}, rng)) for _ in range(DRAWN))


def _check(constraint: CelConstraint, index: int, architecture: Architecture) -> None:
    try:
        given = constraint.evaluate(architecture)
    except _FAILURES as error:
        raise SpecError(
            f"constraints[{index}]",
            f"cannot be evaluated for {dict(architecture)!r:.200}: {_reason(error)}; "
            "a decision that is switched off is null, so ask first, as in NAME == null || NAME > 3",
        ) from None
    if not isinstance(given, bool):
        raise SpecError(f"constraints[{index}]", f"must be true or false, but gives {given!r:.80}")


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return re.sub(r".*ERROR: <input>:", "at ", lines[0])[:200] if lines else type(error).__name__


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
