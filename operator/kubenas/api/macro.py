"""A network of stages of blocks, as users write it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import Field, model_validator

from kubenas.api.base import SET, Model, keyed
from kubenas.api.errors import SpecError, refuse, repeats

MAX_DEPTH: Final = 32

Size = Annotated[int, Field(ge=1, le=1_000_000)]
Depth = Annotated[int, Field(ge=0, le=MAX_DEPTH)]
Ratio = Annotated[float, Field(gt=0, le=1000)]
Operation = Annotated[str, Field(min_length=1, max_length=63)]


class MacroStage(Model):
    """Blocks that work at one resolution; a list of one value is no decision, an absent one is not there."""

    name: str = Field(
        min_length=1,
        max_length=31,
        pattern=r"^[a-zA-Z][a-zA-Z0-9_]*$",
        description="Name of the stage; its decisions are NAME_depth, NAME_width and, by block, NAME_kernel.0 and on.",
    )
    depth: list[Depth] = Field(
        min_length=1, max_length=16, description="How many blocks it can have.", json_schema_extra=SET
    )
    width: list[Size] | None = Field(
        default=None, min_length=1, max_length=64, description="Channels of all its blocks.", json_schema_extra=SET
    )
    operation: list[Operation] | None = Field(
        default=None, min_length=1, max_length=64, description="What each block is.", json_schema_extra=SET
    )
    kernel: list[Size] | None = Field(
        default=None, min_length=1, max_length=16, description="Side of each block's kernel.", json_schema_extra=SET
    )
    expansion: list[Ratio] | None = Field(
        default=None, min_length=1, max_length=16, description="Expansion of each block.", json_schema_extra=SET
    )


class Macro(Model):
    """Stages of blocks, one after another, each with a depth, a width, kernels and expansions to choose."""

    resolution: list[Size] | None = Field(
        default=None, min_length=1, max_length=64, description="Side of the input.", json_schema_extra=SET
    )
    stages: list[MacroStage] = Field(
        min_length=1, max_length=16, description="From input to output.", json_schema_extra=keyed("name")
    )

    @model_validator(mode="after")
    def _check(self) -> Macro:
        """List keys and sets once more, for files that no apiserver has seen."""
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[SpecError]:
        yield from repeats("resolution", self.resolution)
        yield from repeats("stages", [stage.name for stage in self.stages], "name")
        for index, stage in enumerate(self.stages):
            for field in ("depth", "width", "operation", "kernel", "expansion"):
                yield from repeats(f"stages[{index}].{field}", getattr(stage, field))
