"""Random draws that depend on the epoch, the step and the batch alone, so that a resumed training draws the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from kubenas_trial.datasets.data import Batch, Examples


@dataclass(frozen=True, slots=True)
class Seeded:
    """Examples whose random draws depend on the epoch's seed and the batch alone, whichever process reads them."""

    examples: Examples
    seed: int

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, indices: Sequence[int], /) -> Batch:
        draw_anew(self.seed, "batch", indices[0])
        return self.examples[indices]


def draw_anew(*of: int | str) -> None:
    """Seed torch's global generators by the hash of `of`."""
    torch.manual_seed(int.from_bytes(hashlib.sha256(repr(of).encode()).digest()[:8], "big"))
