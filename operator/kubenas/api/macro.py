"""A network of stages of blocks, as users write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

from pydantic import Field

from kubenas.api.base import Ruled
from kubenas.api.rule import Unique

MAX_DEPTH: Final = 32

Size = Annotated[int, Field(ge=1, le=1_000_000)]
Depth = Annotated[int, Field(ge=0, le=MAX_DEPTH)]
Ratio = Annotated[float, Field(gt=0, le=1000)]
Operation = Annotated[str, Field(min_length=1, max_length=63)]


class MacroStage(Ruled):
    """Blocks that work at one resolution; a list of one value is no decision, an absent one is not there."""

    rules: ClassVar[Sequence[Unique]] = [
        Unique(listed) for listed in ("depth", "width", "operation", "kernel", "expansion")
    ]

    name: str = Field(
        min_length=1,
        max_length=31,
        pattern=r"^[a-zA-Z][a-zA-Z0-9_]*$",
        description="Name of the stage; its decisions are NAME_depth, NAME_width and, by block, NAME_kernel.0 and on.",
    )
    depth: list[Depth] = Field(min_length=1, max_length=16, description="How many blocks it can have.")
    width: list[Size] | None = Field(
        default=None, min_length=1, max_length=64, description="Channels of all its blocks."
    )
    operation: list[Operation] | None = Field(
        default=None, min_length=1, max_length=64, description="What each block is."
    )
    kernel: list[Size] | None = Field(
        default=None, min_length=1, max_length=16, description="Side of each block's kernel."
    )
    expansion: list[Ratio] | None = Field(
        default=None, min_length=1, max_length=16, description="Expansion of each block."
    )


class Macro(Ruled):
    """Stages of blocks, one after another, each with a depth, a width, kernels and expansions to choose."""

    rules: ClassVar[Sequence[Unique]] = [Unique("resolution"), Unique("stages", "name")]

    resolution: list[Size] | None = Field(default=None, min_length=1, max_length=64, description="Side of the input.")
    stages: list[MacroStage] = Field(min_length=1, max_length=16, description="From input to output.")
