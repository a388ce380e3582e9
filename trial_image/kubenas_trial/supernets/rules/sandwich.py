"""The sandwich rule with in-place distillation (Yu and Huang, ICCV 2019, arXiv:1903.05134; BigNAS, ECCV 2020)."""

from __future__ import annotations

from typing import Final

from kubenas.space.base import Space
from kubenas_trial.step import Step
from kubenas_trial.supernets.extremes import extremes
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.rules.base import Paths, Unbranched, rng_of

# Sub-networks beside the largest and the smallest, as in the paper.
_RANDOM: Final = 2


class Sandwich(Unbranched):
    """Each step trains the largest sub-network, and by its outputs the smallest and two that are drawn."""

    def __init__(self, space: Space, networks: Networks) -> None:
        self._space = space
        self._smallest, self._largest = extremes(space, networks)

    def __call__(self, step: Step) -> Paths:
        """The largest, the smallest and two more."""
        rng = rng_of(step)
        drawn = [self._space.sample(rng) for _ in range(_RANDOM)]
        return Paths([self._largest, self._smallest, *drawn], distillation=1.0)
