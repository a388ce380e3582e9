"""The space that a specification describes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from kubenas.api.space import SearchSpace
from kubenas.space.base import Space
from kubenas.space.cel_constraint import check_constraints, compile_constraints
from kubenas.space.cells.space import build_cell_space
from kubenas.space.expand import expand
from kubenas.space.macro import build_macro_space
from kubenas.space.tables import read_tables


def build_space(spec: SearchSpace) -> Space:
    """The space of a (validated) `spec`.

    Raises:
        SpecError: parameters, costs or constraints name what there is not; the path begins below `searchSpace`.
    """
    space = _unconstrained(spec)
    if spec.costs:
        space = space.with_costs(read_tables(spec.costs, space))
    if not spec.constraints:
        return space
    return space.with_constraints(compile_constraints(spec.constraints, space))


def validate_space(spec: SearchSpace, at: Callable[[str], None] = lambda _: None) -> Space:
    """The space of `spec`, checked to have an architecture.

    Args:
        spec: a validated one.
        at: called with the field below `searchSpace` that is validated next.

    Raises:
        SpecError: as `build_space`, or because constraints cannot be evaluated or leave no architecture.
    """
    space = build_space(spec)
    if spec.constraints:
        check_constraints(space, at)
    return space


def _unconstrained(spec: SearchSpace) -> Space:
    if spec.preset is not None:
        return _preset(spec.preset)
    if spec.cell is not None:
        return build_cell_space(spec.cell)
    if spec.macro is not None:
        return build_macro_space(spec.macro)
    return Space(expand(spec.parameters or ()))


@cache
def _preset(name: str) -> Space:
    """The space that the function of the preset's name returns, in the module of that name.

    Cached, as spaces are immutable and some list their architectures, which takes up to a second.
    """
    name = name.replace("-", "_")
    space: Space = getattr(import_module(f"kubenas.space.presets.{name}"), name)()
    return space
