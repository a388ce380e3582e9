"""Networks of stages of blocks as decisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubenas.api.macro import Macro, MacroStage
from kubenas.space.architecture import Value
from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice, Ordinal
from kubenas.space.layers import layers


def build_macro_space(macro: Macro) -> Space:
    """A depth and a width for each stage, an operation, a kernel and an expansion for each block."""
    decisions = [Decision("resolution", Ordinal(tuple(macro.resolution)))] if macro.resolution else []
    for stage in macro.stages:
        decisions += _stage(stage)
    return Space(decisions)


def _stage(stage: MacroStage) -> Iterator[Decision]:
    depth = Decision(f"{stage.name}_depth", Ordinal(tuple(stage.depth)))
    yield depth
    if stage.width is not None:
        yield Decision(f"{stage.name}_width", Ordinal(tuple(stage.width)))
    if max(stage.depth) == 0:
        return
    if stage.operation is not None:
        yield from layers(f"{stage.name}_operation", Choice(tuple(stage.operation)), depth)
    for name, values in (("kernel", stage.kernel), ("expansion", stage.expansion)):
        if values is not None:
            yield from layers(f"{stage.name}_{name}", Ordinal(_numbers(values)), depth)


def _numbers(values: Sequence[float]) -> tuple[Value, ...]:
    return tuple(int(value) if value == int(value) else value for value in values)
