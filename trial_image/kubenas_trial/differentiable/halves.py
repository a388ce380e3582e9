"""The two halves of the training examples: one that weights are learned from, one that alphas are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubenas_trial.datasets.data import Batch, Examples, shuffled


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the examples, by number.

    Attributes:
        examples: all.
        numbers: those of the part.
    """

    examples: Examples
    numbers: list[int]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, indices: Any, /) -> Batch:
        return self.examples[[self.numbers[index] for index in indices]]


def halves(examples: Examples, seed: int) -> tuple[Part, Part]:
    """Those for weights and those for alphas, drawn by `seed`."""
    order = shuffled(len(examples), seed)
    return Part(examples, sorted(order[::2])), Part(examples, sorted(order[1::2]))
