"""From raw examples to a network's inputs, as fitted on the training split: part of each checkpoint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from torch import Tensor


class Preprocessing(BaseModel, ABC):
    """How raw examples become inputs, as JSON.

    Attributes:
        classes: names of the classes, in the order of their numbers; none where a task has none.
    """

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, extra="forbid")

    classes: tuple[str, ...] = ()

    @abstractmethod
    def inputs(self, raw: Sequence[Any]) -> tuple[Tensor, ...]:
        """The network's inputs for a batch of raw examples.

        Raises:
            InvalidDatasetError: a file cannot be read.
            ValueError: an example is not as this task's are.
        """
