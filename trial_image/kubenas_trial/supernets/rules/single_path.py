"""Single path: one sub-network a step (Guo et al., "Single Path One-Shot NAS", ECCV 2020, arXiv:1904.00420)."""

from __future__ import annotations

from kubenas.space.base import Space
from kubenas_trial.step import Step
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.rules.base import Paths, Unbranched, rng_of


class SinglePath(Unbranched):
    """Each step trains one architecture, drawn uniformly."""

    def __init__(self, space: Space, networks: Networks) -> None:  # noqa: ARG002 - of the protocol
        self._space = space

    def __call__(self, step: Step) -> Paths:
        """One architecture of the space."""
        return Paths([self._space.sample(rng_of(step))])
