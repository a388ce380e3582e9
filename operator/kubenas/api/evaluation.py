"""How an architecture is judged: a union by `method`."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from kubenas.api.base import Model

MAX_SEEDS: Final = 32


class Evaluation(Model):
    """How an architecture is judged."""

    method: Literal["train"] = Field(default="train", description="train: train it and report its validation metrics.")
    epochs: int = Field(default=12, ge=1, le=1_000_000, description="Epochs that each candidate is trained.")
    seeds: int = Field(
        default=1,
        ge=1,
        le=MAX_SEEDS,
        description="How often each candidate is trained, each time in a trial of its own with another seed. "
        "Candidates are compared by the mean of their metrics; the status tells the spread.",
    )
