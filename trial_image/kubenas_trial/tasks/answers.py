"""Predictions, as `kubenas_trial.prediction` gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Choice(NamedTuple):
    """The most probable of some classes, answers or tokens, with its probability."""

    label: str
    probability: float


class DetectedObject(NamedTuple):
    """An object in an image: its class, a confidence (0 to 1), and x1, y1, x2, y2 in pixels of the image."""

    label: str
    score: float
    box: tuple[float, float, float, float]


def choices(logits: Tensor, classes: Sequence[str]) -> list[Choice]:
    """The most probable class of each row of (batch, classes)."""
    values, indices = logits.float().softmax(1).max(1)
    return [Choice(classes[index], value) for index, value in zip(indices.tolist(), values.tolist(), strict=True)]
