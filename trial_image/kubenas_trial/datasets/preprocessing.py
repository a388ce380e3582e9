"""From what a user has to what a network takes, as it was worked out for a training: part of each checkpoint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from torch import Tensor


class Preprocessing(BaseModel, ABC):
    """JSON that says how raw examples become inputs.

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
