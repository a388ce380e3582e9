"""What is learned, and from which data."""

from __future__ import annotations

from typing import Final

from pydantic import ConfigDict, Field, model_validator

from kubenas.api.base import FreeObject, Model, Name, rule, rules
from kubenas.api.errors import SpecError

_NAME_OR_PATH: Final = "needs exactly one of name and path"


class Dataset(Model):
    """The data that a task trains and validates on: one that the trainer brings along, or files."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule("has(self.name) != has(self.path)", f"dataset {_NAME_OR_PATH}"))
    )

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

    @model_validator(mode="after")
    def _check(self) -> Dataset:
        """The CEL rule once more, for files that no apiserver has seen."""
        if (self.name is None) == (self.path is None):
            raise SpecError("", _NAME_OR_PATH)
        return self


class Task(Model):
    """What is learned; read by the trainer, not by the operator."""

    name: Name = Field(description="Name of the task, for example image-classification.")
    dataset: Dataset | None = Field(default=None, description="The data set.")
    settings: FreeObject = Field(
        default_factory=dict, description="Settings of the trainer, for example {batchSize: 64}."
    )
