"""One step of a training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a training.

    Attributes:
        seed: the epoch's.
        number: within the epoch, from 0.
        progress: share of the whole training that is done before it.
    """

    seed: int
    number: int
    progress: float
