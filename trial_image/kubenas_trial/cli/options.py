"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import typer

SPACE: Final = "Search space: a preset, or a YAML file with a searchSpace or an experiment."

Device: TypeAlias = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:NUMBER.")]
Form: TypeAlias = Annotated[
    str | None, typer.Option("--format", help="Format of the files at a path.", show_default="told by the files")
]
Seed: TypeAlias = Annotated[int, typer.Option(min=0, help="Seed of every random draw.")]
Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting of the task, such as batchSize=64 or network.channels=8; repeatable."),
]
SpaceOfTask: TypeAlias = Annotated[str | None, typer.Option(help=SPACE, show_default="the task's")]
