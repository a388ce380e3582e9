"""What every sampling rule has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from kubenas.space.base import Architecture, Space, Value
from kubenas_trial.step import Step
from kubenas_trial.supernets.networks import Networks


@dataclass(frozen=True, slots=True)
class Paths:
    """The sub-networks that one step trains, their gradients added up for one update.

    Attributes:
        architectures: one or more, each trained on the same batch.
        distillation: how much the others learn from the outputs of the first, from 0 (from labels alone) to 1 (from
            these outputs alone); the first learns from labels.
    """

    architectures: Sequence[Architecture]
    distillation: float = 0.0


class Rule(Protocol):
    """Which sub-networks a step trains: a function of the step alone, so that a resumed training draws the same.

    Attributes:
        branches: a decision of which each value has parameters of its own, with its values, or None.
    """

    branches: tuple[str, tuple[Value, ...]] | None

    def __init__(self, space: Space, networks: Networks) -> None:
        """For the sub-networks of `space`.

        Raises:
            InvalidTrialError: it makes no sense for this space.
        """

    def __call__(self, step: Step) -> Paths:
        """The sub-networks of `step`."""

    def divides(self, step: Step) -> bool:
        """Whether the branches have parameters of their own from `step` on."""


class Unbranched:
    """Of rules by which all sub-networks share the same parameters."""

    branches: tuple[str, tuple[Value, ...]] | None = None

    def divides(self, step: Step) -> bool:  # noqa: ARG002 - of the protocol
        """Never."""
        return False


def rng_of(step: Step) -> Random:
    """The draws of one step."""
    return Random(f"paths/{step.seed}/{step.number}")
