"""What is learned, and from which data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from kubenas.api.base import FreeObject, Model, Name, Ruled
from kubenas.api.rule import Rule


class Dataset(Ruled):
    """The data that a task trains and validates on: one that the trainer brings along, or files."""

    rules: ClassVar[Sequence[Rule[Dataset]]] = [
        Rule(
            cel="has(self.name) != has(self.path)",
            subject="dataset",
            message="needs exactly one of name and path",
            holds=lambda dataset: (dataset.name is None) != (dataset.path is None),
        )
    ]

    name: str | None = Field(
        default=None, min_length=1, max_length=253, description="Name of a data set that the trainer brings along."
    )
    path: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="Folder or file in the trial; a relative one is below KUBENAS_DATA_DIR, /data in a pod.",
    )
    format: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        description="Format of what lies at `path`, one that the trainer knows; absent, it is told by the files.",
    )


class Task(Model):
    """What is learned; read by the trainer, not by the operator."""

    name: Name = Field(description="Name of the task, for example image-classification.")
    dataset: Dataset | None = Field(default=None, description="The data set.")
    settings: FreeObject = Field(
        default_factory=dict, description="Settings of the trainer, for example {batchSize: 64}."
    )
