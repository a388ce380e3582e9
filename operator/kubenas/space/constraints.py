"""Constraints in CEL, the Common Expression Language (https://cel.dev)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import Final

from kubenas.api.errors import SpecError
from kubenas.space.base import Architecture
from kubenas.space.decisions import COUNTED, DecisionSpace
from kubenas.space.reading import by_layer

# Architectures drawn to see whether constraints can be met, and how many must be evaluated at least.
DRAWN: Final = 2_000
EVALUATED: Final = 64

# What the CEL library raises where an expression cannot be evaluated.
_FAILURES: Final = (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError)

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BOUND: Final = re.compile(r"\.\s*(?:all|exists|exists_one|filter|map)\s*\(\s*([A-Za-z_]\w*)\s*,")


class CelConstraint:
    """Whether an architecture fulfils a CEL expression; one that cannot be evaluated is not fulfilled.

    Decisions are variables, null where they are switched off; those named `NAME.0`, `NAME.1` … are the list `NAME` of
    what is switched on; `architecture` is a map of them all; analytic costs are variables too.

    Raises:
        SpecError: the expression is no CEL, or names something that there is not.
    """

    def __init__(self, expression: str, space: DecisionSpace) -> None:
        import cel  # noqa: PLC0415 - takes most of a second, and few spaces have constraints

        self._space = space
        names = [*space.decisions, *by_layer(dict.fromkeys(space.decisions))]
        try:
            self._program = cel.compile(expression)
        except ValueError as error:
            raise SpecError("", f"is no CEL expression: {_reason(error)}") from None
        costs = space.costs(space.complete({}, Random(0)))
        known = {name for name in names if _IDENTIFIER.fullmatch(name)} | {"architecture", *costs}
        used = set(self._program.variables())
        self._uses_costs = bool(used & set(costs))
        bound = set(_BOUND.findall(expression))
        if unknown := sorted(used - known - bound):
            raise SpecError("", f"{unknown[0]} is no decision: there are {_listed(sorted(known))}")

    def __call__(self, architecture: Architecture) -> bool:
        """Whether it is fulfilled."""
        try:
            return self.evaluate(architecture) is True
        except _FAILURES:
            return False

    def __str__(self) -> str:
        return str(self._program.source)

    def evaluate(self, architecture: Architecture) -> object:
        """What the expression gives, whatever that is; raises what the CEL library raises."""
        decided = {name: architecture.get(name) for name in self._space.decisions}
        values = decided | by_layer(decided)
        context: dict[str, object] = dict(self._space.costs(architecture)) if self._uses_costs else {}
        context |= {name: value for name, value in values.items() if _IDENTIFIER.fullmatch(name)}
        return self._program.execute(context | {"architecture": values})


def compile_constraints(expressions: Sequence[str], space: DecisionSpace) -> list[CelConstraint]:
    """The constraints of `space`, compiled once.

    Raises:
        SpecError: on `constraints[i]`, which is no CEL or names something that there is not.
    """
    compiled = []
    for index, expression in enumerate(expressions):
        try:
            compiled.append(CelConstraint(expression, space))
        except SpecError as error:
            raise error.within(f"constraints[{index}]") from None
    return compiled


def check_constraints(space: DecisionSpace) -> None:
    """Bounded work to see that constraints can be evaluated, give true or false, and leave something.

    Raises:
        SpecError: on `constraints[i]`, or on the whole space where only all of them together leave nothing.
    """
    written = [constraint for constraint in space.constraints if isinstance(constraint, CelConstraint)]
    rng, drawn, met = Random(0), 0, [0] * (len(written) + 1)
    while drawn < EVALUATED or (met[-1] == 0 and drawn < DRAWN):
        drawn += 1
        architecture = space.complete({}, rng)
        held = [_holds(constraint, index, architecture) for index, constraint in enumerate(written)]
        met = [count + one for count, one in zip(met, [*held, space.allows(architecture)], strict=True)]
    if met[-1] or (space.assignments is not None and space.assignments <= COUNTED and any(space.enumerate())):
        return
    never = next((index for index, count in enumerate(met[:-1]) if count == 0), None)
    field = "" if never is None else f"constraints[{never}]"
    subject = "the constraints together leave" if never is None else "leaves"
    raise SpecError(field, f"{subject} no architecture, or too few to find: none of {drawn:,} drawn is within")


def _holds(constraint: CelConstraint, index: int, architecture: Architecture) -> bool:
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
    return given


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return re.sub(r".*ERROR: <input>:", "at ", lines[0])[:200] if lines else type(error).__name__


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
